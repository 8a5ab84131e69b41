"""Airflow DAG (2.11, 3.x): new slides every night; goes into Airflow's DAG folder as it is.

Settings are Airflow Variables: `histospark_conf`, `histospark_slides`, `histospark_model`, `histospark_out`, and if
needed `histospark_options` (further options, e.g. `--master yarn`) and `histospark_command` (path of the program where
it is not on the worker's PATH). They may come from the environment, too: `AIRFLOW_VAR_HISTOSPARK_CONF` and so on.

The task fails when the job failed (exit code 1), was used wrongly (2) or some slides fail (3), and its log names the
code. It is not retried within the night: the next run tries failed slides again by itself.
"""
# mypy: disable-error-code=import-not-found

from datetime import datetime, timezone

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.operators.bash import BashOperator

with DAG(
    "histospark_refresh",
    description="Heatmaps of the slides that are new",
    doc_md=__doc__,
    schedule="30 1 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 - Airflow 2 may run on Python 3.9
    catchup=False,
    max_active_runs=1,
    tags=["histospark"],
):
    BashOperator(
        task_id="refresh",
        bash_command='"$COMMAND" refresh --conf "$CONF" --slides "$SLIDES" --model "$MODEL" --out "$OUT" $OPTIONS',
        env={
            "CONF": "{{ var.value.histospark_conf }}",
            "SLIDES": "{{ var.value.histospark_slides }}",
            "MODEL": "{{ var.value.histospark_model }}",
            "OUT": "{{ var.value.histospark_out }}",
            "OPTIONS": "{{ var.value.get('histospark_options', '') }}",
            "COMMAND": "{{ var.value.get('histospark_command', 'histospark') }}",
        },
        append_env=True,
        retries=0,
    )
