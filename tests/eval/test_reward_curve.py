"""The curve of a run of RL is drawn from its metrics, with and without numbers between."""

from PIL import Image

from wamjax.eval.reward_curve import reward_curve


def test_a_curve_of_two_tasks_and_of_a_run_that_has_just_begun(tmp_path):
    def row(step, rate):
        return {
            "step": step,
            **{f"success/{t}{e}": rate for t in ("reach", "push") for e in ("", "/low", "/high")},
        }

    for rows in ([row(0, 0.5)], [row(0, 0.5), {"step": 1, "reward": 0.4}, row(1, 0.9)]):
        reward_curve(rows, tmp_path / "curve.png")
        with Image.open(tmp_path / "curve.png") as picture:
            assert picture.size == (832, 468)
