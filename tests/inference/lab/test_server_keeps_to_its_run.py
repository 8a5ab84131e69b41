"""Nothing but the run and its slides is served, whoever asks and however."""

import http.client
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from inference.lab.not_shown import without_places
from inference.lab.run_view import RunView
from preprocessing.recipe import Recipe
from tests.inference.lab.making import MadeRun, bare_run, lab_over

SECRET = "nobody may read this"
TOKEN = "a-token-of-the-test"
ODD = (
    "two words",
    "Übermaß 切片 🔬",
    "e\u0301",  # the accent is a letter of its own
    "#?&+'\"<script>alert(1)</script>"[:18],
    "semi;colon:and,comma@at",
    "new\nline",
    "x" * 200,
    "NA",
    "0012",
)


def asked(url: str, target: str, **headers: str) -> tuple[int, bytes]:
    """Ask for exactly this target: clients of HTTP tidy up what they send."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.putrequest("GET", target, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def guarded(lab_run: MadeRun, sparse: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A lab with odd ids, forged ones, and links that lead out of the run."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "secret.tif").write_text(SECRET)
    (folder / "secret.html").write_text(SECRET)
    forged = ("../../secret", "..", "../out", str(folder / "secret"), "a/../../../secret", "nul\0byte", "back\\slash")
    good, names = str(lab_run.slide("tumor_01")), (*ODD, *forged, "linked", "chained", "folder", "pipe")
    run = bare_run(folder / "out", sparse, dict.fromkeys(names, good), dict.fromkeys(names, 0.5))
    heat = run / "heatmaps"
    heat.mkdir()
    for name in ODD:
        shutil.copyfile(lab_run.heat("tumor_01"), heat / f"{name}.tif")
    shutil.copyfile(lab_run.heat("tumor_01"), folder / "good.tif")
    (heat / "linked.tif").symlink_to(folder / "good.tif")
    (folder / "out2").mkdir()  # begins like the run's own name
    shutil.copyfile(lab_run.heat("tumor_01"), folder / "out2" / "good.tif")
    (heat / "there").symlink_to(folder / "out2")
    (heat / "chained.tif").symlink_to(heat / "there" / "good.tif")
    (heat / "folder.tif").mkdir()
    os.mkfifo(heat / "pipe.tif")
    (run / "report.html").symlink_to(folder / "secret.html")
    with lab_over(run) as client:
        yield client


@pytest.mark.parametrize(
    "up", ["..", "%2e%2e", "%252e%252e", "..%2f..", "..%5c..", "..\\..", ".%00.", "%c0%ae%c0%ae", "//"]
)
def test_no_path_leads_out(guarded: httpx.Client, up: str) -> None:
    starts = ("/static/", "/slides/", "/api/slides/", "/slides/linked/heat/", "/", "/static/openseadragon/")
    ends = ("secret.html", "etc/passwd", "run_view.py", "app.py", "model.json")
    for target in (f"{start}{'/'.join([up] * depth)}/{end}" for start in starts for end in ends for depth in (1, 2, 6)):
        status, body = asked(str(guarded.base_url), target)
        assert status in (400, 404), target
        assert list(json.loads(body)) == ["error"]


def test_targets_that_are_no_paths_are_refused(guarded: httpx.Client) -> None:
    for target in ("/etc/passwd", "http://example.org/", "*", "/static", "/static/", f"/api/slides/{'y' * 30_000}"):
        status, body = asked(str(guarded.base_url), target)
        assert status in (400, 404), target
        assert b"root:" not in body


@pytest.mark.parametrize("slide_id", ODD)
def test_odd_ids_are_served_like_others(guarded: httpx.Client, slide_id: str) -> None:
    name = quote(slide_id, safe="")
    facts = guarded.get(f"/api/slides/{name}").json()
    assert (facts["slide_id"], facts["score"], facts["problems"]["heat"]) == (slide_id, 0.5, None)
    for address in ("tiles/10/0_0.jpg", "heat/0/0_0.png", "thumbnail.jpg", "probability?x=300&y=300"):
        assert guarded.get(f"/slides/{name}/{address}").status_code == 200


@pytest.mark.parametrize("slide_id", ["../../secret", "..", "../out", "a/../../../secret", "nul\0byte", "back\\slash"])
def test_forged_ids_of_a_ledger_open_nothing_outside_the_run(guarded: httpx.Client, slide_id: str) -> None:
    for address in ("heat/0/0_0.png", "probability?x=1&y=1"):
        status, body = asked(str(guarded.base_url), f"/slides/{quote(slide_id, safe='')}/{address}")
        assert status == 404
        assert SECRET.encode() not in body


@pytest.mark.parametrize("slide_id", ["linked", "chained", "folder", "pipe"])
def test_links_folders_and_pipes_in_the_run_are_not_followed(guarded: httpx.Client, slide_id: str) -> None:
    answer = guarded.get(f"/slides/{slide_id}/heat/0/0_0.png")
    assert answer.status_code == 404
    assert guarded.get(f"/heatmaps/{slide_id}.png").status_code == 404
    assert guarded.get(f"/api/slides/{slide_id}").json()["heat"] is None


def test_a_report_that_leads_elsewhere_is_not_shown(guarded: httpx.Client) -> None:
    answer = guarded.get("/report")
    assert (answer.status_code, SECRET in answer.text) == (404, False)
    assert guarded.get("/api/run").json()["report"] is False


def test_another_host_name_is_refused(guarded: httpx.Client) -> None:
    assert asked(str(guarded.base_url), "/api/run", host="evil.example:80")[0] == 400
    assert asked(str(guarded.base_url), "/api/run", host="127.0.0.1.evil.example")[0] == 400
    for host in ("localhost", "127.0.0.1:5", "[::1]:8321"):
        assert asked(str(guarded.base_url), "/api/run", host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MADE-UP"])
def test_the_lab_is_only_read(guarded: httpx.Client, method: str) -> None:
    for address in ("/", "/api/run", "/static/index.html", "/slides/linked/thumbnail.jpg"):
        answer = guarded.request(method, address, headers={"origin": "http://evil.example"})
        assert (answer.status_code, list(answer.json())) == (405, ["error"])
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert guarded.head("/api/run").status_code == 200


def test_every_answer_tells_browsers_to_be_careful(guarded: httpx.Client) -> None:
    for address in ("/", "/api/run", "/nowhere", "/static/index.html", "/static/nothing.js", "/api/slides/nobody"):
        headers = guarded.get(address).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def test_without_the_token_nothing_is_told(lab_run: MadeRun) -> None:
    with lab_over(lab_run.out, token=TOKEN) as client:
        start = client.get("/")
        assert start.status_code == 401
        assert "histospark lab" in start.text
        everything = (
            "/api/run",
            "/api/slides",
            "/static/index.html",
            "/report",
            "/slides/tumor_01/thumbnail.jpg",
            "/no",
        )
        for address in everything:
            for query in ("", f"?token={TOKEN}"):  # the token is taken at the start alone
                answer = client.get(address + query)
                assert (answer.status_code, list(answer.json())) == (401, ["error"])
        for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "tök€n", "%00"):
            answer = client.get("/", params={"token": wrong})
            assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


def test_the_token_once_opens_everything(lab_run: MadeRun) -> None:
    with lab_over(lab_run.out, token=TOKEN) as client:
        answer = client.get("/", params={"token": TOKEN})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert client.get("/api/run").status_code == 200
        assert client.get("/slides/tumor_01/thumbnail.jpg").status_code == 200
        name = cookie.partition("=")[0]
        client.cookies.clear()
        assert client.get("/api/run", headers={"cookie": f"{name}=guess"}).status_code == 401
        assert client.get("/api/run", headers={"cookie": f"{name}=\xff\xfe; x".encode("latin-1")}).status_code == 401


def test_messages_lose_the_places_of_this_machine() -> None:
    text = "/data/my slides/a.svs: no mask in /mnt/x/y.tif, see s3://bucket/z.tif"
    assert without_places(text, "/data/my slides/a.svs") == "a.svs: no mask in y.tif, see s3://bucket/z.tif"


def test_our_own_faults_show_no_traceback(lab_run: MadeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: RunView) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(RunView, "facts", fail)
    with lab_over(lab_run.out) as client:
        answer = client.get("/api/run")
        assert (answer.status_code, SECRET in answer.text, "Traceback" in answer.text) == (500, False, False)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_one_run_may_lie_behind_a_link(lab_run: MadeRun, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(lab_run.out)
    with lab_over(tmp_path / "link") as client:
        assert client.get("/slides/tumor_01/heat/0/0_0.png").status_code == 200
