from pathlib import Path

from colorize.targets import make_plan


def _plan(paths: list[str], output: str | None = None, force: bool = False) -> tuple[dict[str, str], str]:
    plan = make_plan([Path(p) for p in paths], Path(output) if output else None, force)
    return {str(job.source): str(job.target) for job in plan.jobs}, "\n".join(plan.failures + plan.notes)


def test_no_two_pictures_have_one_target(pictures: Path) -> None:
    jobs, why = _plan(["x/a.jpg", "y/a.jpg", "y/A.jpg"])
    assert jobs == {"x/a.jpg": "x/a-color.jpg", "y/a.jpg": "y/a-color.jpg", "y/A.jpg": "y/A-color.jpg"}
    jobs, why = _plan(["x/a.jpg", "y/a.jpg", "y/A.jpg"], "out")
    assert jobs == {"x/a.jpg": "out/a-color.jpg"}
    assert "y/a.jpg: its result out/a-color.jpg is already that of x/a.jpg" in why
    assert "y/A.jpg: its result out/A-color.jpg is already that of x/a.jpg" in why
    assert "y/a.jpg" in why.splitlines()[0]
    assert "rename one, or colour it in a run with another -o" in why


def test_pictures_that_become_png_have_names_of_their_own(pictures: Path) -> None:
    jobs, why = _plan(["a.gif", "a.png"])
    assert (jobs, why) == ({"a.gif": "a-color.png", "a.png": "a-png-color.png"}, "")
    for target in jobs.values():
        Path(target).write_bytes(Path("a.png").read_bytes())
    jobs, why = _plan(["a-color.png", "a-png-color.png", "a.gif", "a.png"])  # what a* is on a second run
    assert jobs == {}
    assert "a-png-color.png: skipped, it is the result of a.png" in why
    Path("a-png.png").write_bytes(Path("a.png").read_bytes())  # its result has that name too
    jobs, why = _plan(["a-png.png", "a.gif", "a.png"], force=True)
    assert list(jobs) == ["a-png.png", "a.gif"]
    assert why == "a.png: its result a-png-color.png is already that of a-png.png; rename one"


def test_a_picture_given_twice_counts_once(pictures: Path) -> None:
    Path("z").symlink_to("x")
    Path("x/link.jpg").symlink_to("a.jpg")
    jobs, why = _plan(["x/a.jpg", "x", "./x/a.jpg", str(pictures / "x" / "a.jpg"), "z"])
    assert jobs == {"x/a.jpg": "x/a-color.jpg", "x/link.jpg": "x/link-color.jpg"}
    assert why == ""


def test_no_picture_is_a_target(pictures: Path) -> None:
    Path("out").mkdir()
    Path("out/a-color.jpg").write_bytes(Path("x/a.jpg").read_bytes())
    Path("linked").mkdir()
    Path("linked/a-color.jpg").symlink_to("../y/a.jpg")
    for force in (False, True):
        jobs, why = _plan(["x/a.jpg", "out/a-color.jpg"], "out", force)
        assert jobs == {"out/a-color.jpg": "out/a-color-color.jpg"}
        assert "x/a.jpg: its result out/a-color.jpg would replace a picture to be coloured" in why
        jobs, why = _plan(["x/a.jpg", "y"], "linked", force)
        assert "x/a.jpg" not in jobs
        assert "x/a.jpg: its result linked/a-color.jpg would replace a picture to be coloured" in why


def test_results_are_not_coloured_again(pictures: Path) -> None:
    jobs, why = _plan(["done.jpg", "done-color.jpg"])  # what *.jpg is on a second run
    assert jobs == {}
    assert "done-color.jpg: skipped, it is the result of done.jpg" in why
    jobs, why = _plan(["."], force=True)
    assert jobs["done.jpg"] == "done-color.jpg"
    assert "done-color.jpg" not in jobs
    Path("done.jpg").unlink()
    assert _plan(["done-color.jpg"])[0] == {"done-color.jpg": "done-color-color.jpg"}


def test_folders_without_pictures(pictures: Path) -> None:
    Path("empty/inside").mkdir(parents=True)
    Path("empty/notes.txt").write_text("nothing")
    jobs, why = _plan(["empty", "x", "nowhere"])
    assert list(jobs) == ["x/a.jpg"]
    assert "empty: no pictures in this folder, looked for .jpg .jpeg" in why
    assert "nowhere: there is no such file; check the path" in why
