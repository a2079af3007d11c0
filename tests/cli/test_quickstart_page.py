"""The quick start's page: each figure of a run, and nothing of the README outside the marks."""

import json

from wamjax.cli.quickstart_page import main


def cell(successes: int, episodes: int) -> dict:
    rate = successes / episodes
    return {
        "successes": successes,
        "episodes": episodes,
        "rate": rate,
        "wilson95": [rate - 0.01, min(1.0, rate + 0.02)],
    }


def policy(clean: int, camera: int) -> dict:
    own = {"clean": cell(clean, 200), "axes": {"camera": cell(camera, 40)}}
    means = {"mean_with_clean": clean / 200, "mean_without_clean": camera / 40}
    return {"reach": own | means}


def test_a_page_has_the_run_s_figures(tmp_path):
    results = {
        "policies": {"trained": policy(190, 30), "still": policy(2, 0)},
        "manifest_sha256": "abc",
        "device": "cpu, 2 cores",
        "versions": {"jax": "1.2.3"},
        "seed": 7,
        "parameters": 1_234_567,
        "train_flops": 2.5e12,
        "ms_per_chunk": 4.44,
        "ms_per_chunk_p95": 5.55,
        "env_steps_per_second": 1500.4,
    }
    sample = {
        "action_error": 0.25,
        "mean_action_error": 0.5,
        "last_action_error": 0.4,
        "frame_error": 0.06,
        "repeat_frame_error": 0.04,
    }
    phases = {"seconds": {"train": 61.0, "report": 4.0}, "done": []}
    for name, value in (("results", results), ("sample", sample), ("phases", phases)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold\n<!-- end -->\nafter\n")
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    for _ in range(2):
        main([str(tmp_path), str(page), str(readme)])
    told, short = page.read_text(), readme.read_text()
    assert "| reach | clean | 95.0 % (94.0 to 97.0), 190/200 | 1.0 % (0.0 to 3.0), 2/200 |" in told
    assert "| reach | camera | 75.0 % (74.0 to 77.0), 30/40 | 0.0 % (-1.0 to 2.0), 0/40 |" in told
    assert "| all phases | 1 min 05 s |" in told
    assert "does not beat it" in told
    assert short.startswith("before\n<!-- results -->\nMeasured by")
    assert short.endswith("<!-- end -->\nafter\n")
    assert "old" not in short
    assert "75 % of `reach`" in short
    assert "train 1 min 01 s, report 4 s" in short
    assert "[docs/page.md](docs/page.md)" in short
