"""What the guide shows is what the commands do."""

import re
from pathlib import Path

from tests.cli.conftest import Run

GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()


def test_the_table_in_the_guide_is_read(run: Run, tmp_path: Path) -> None:
    lines = re.search(r"(?:    .*\n)*    kind,in_channels.*\n(?:    .*\n)*", GUIDE)
    assert lines is not None
    (tmp_path / "guide.csv").write_text(re.sub("^    ", "", lines[0], flags=re.MULTILINE))
    assert run("fit", tmp_path / "guide.csv", "--name", "guide", "--json").json["layers"] == 4


def test_every_option_in_the_guide_is_one(run: Run) -> None:
    for command in ("profile", "devices", "fit", "evaluate", "explain", "bench", "memory", "tile", "align"):
        section = GUIDE.split(f"## {command}:")[1].split("\n## ")[0]
        usage = run(command, "--help").out
        shown = {
            option for line in re.findall(r"    edgewright .*", section) for option in re.findall(r"--[a-z-]+", line)
        }
        assert shown <= set(re.findall(r"--[a-z-]+", usage))
        offered = set(re.findall(r"(?<![-\w])--[a-z-]+", usage)) - {"--help", "--json", "--input", "--baselines"}
        assert offered <= set(re.findall(r"--[a-z-]+", GUIDE)), command
