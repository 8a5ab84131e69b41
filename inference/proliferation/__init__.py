"""From detected mitoses to the proliferation score of each slide, as in CODAIT's deep-histopath."""
