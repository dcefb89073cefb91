"""What a person reads: rules in words, the staircase of a layer, and its plots."""

from pathlib import Path

import pytest
from tests.timing.synthetic import conv

from edgewright.errors import BudgetError
from edgewright.graph.types import LayerSpec
from edgewright.timing import ExecutionTimeModel
from edgewright.timing.model import Fallbacks, FamilyTree, HeldOut
from edgewright.timing.plot import draw_file, draw_text
from edgewright.timing.rules import formula, rules_of
from edgewright.timing.splits import AtMost, Has, MultipleOf
from edgewright.timing.staircase import staircase, width_of, with_width
from edgewright.timing.tree import Branch, Leaf

FAST = Leaf({"macs": 1e-11}, 2e-6, {"out_channels": 16}, 60, 0.021)
SLOW = Leaf({"macs": 3e-11}, 0.0, {}, 40, 0.043)


def tree() -> FamilyTree:
    wide = Branch(AtMost("in_channels", 24), SLOW, SLOW, 80, 0.1)
    multiple = Branch(MultipleOf("out_channels", 4), FAST, wide, 90, 0.2)
    return FamilyTree("conv", Branch(AtMost("in_channels", 12), SLOW, multiple, 100, 0.3), HeldOut(4.2, 60, 90, 100, 4))


@pytest.fixture
def model() -> ExecutionTimeModel:
    fallbacks = Fallbacks(SLOW, SLOW)
    return ExecutionTimeModel("d", "r", "1", 1, "", {"conv": tree(), "depthwise_conv": tree()}, fallbacks)


def test_rules_in_words() -> None:
    lines = rules_of("conv", tree()).splitlines()
    assert lines[0] == "conv: held-out error 4.2 % of 100 layers, 90 % of them within 10 %"
    assert lines[1] == "  input channels over 12, output channels a multiple of 4:"
    assert lines[2].strip() == "0.002 ms + 0.01 ms per million operations"
    assert lines[3].strip() == "60 layers, error 2.1 %; output channels counted in blocks of 16"
    assert any("input channels over 12 and at most 24, output channels not a multiple of 4" in line for line in lines)
    assert any("  input channels over 24, output channels not a multiple of 4" in line for line in lines)


def test_what_counts_beyond_a_number_is_told_in_all() -> None:
    rates_s = {
        "moved_items>16384": 1e-9,
        "macs": 2e-9,
        "moved_items>1048576": 3e-9,
        "output_items": 1e-9,
        "copies": 2e-7,
    }
    assert formula(Leaf(rates_s, 0.0, {}, 9, 0.1), "unary") == (
        "3 ms per million output items + 0.2 ms per thousand pieces copied"
        " + 1 ms per million moved items beyond 16.4 k, 4 ms per million beyond 1.05 M"
    )


def test_properties_in_words() -> None:
    assert Has("fused", "add").words(True) == "with add fused in"
    assert Has("variant", "relu").words(False) == "variant is not relu"


def test_a_faster_width_is_found(model: ExecutionTimeModel) -> None:
    found = staircase(model, conv(32, 30, 28))
    assert found.width == 30
    assert found.faster == 32
    assert found.faster_s is not None
    assert found.faster_s < found.time_s
    assert found.free == 44
    assert found.widths == tuple(range(15, 61))


def test_no_width_is_faster_than_a_good_one(model: ExecutionTimeModel) -> None:
    found = staircase(model, conv(32, 32, 28), widths=range(30, 41))
    assert (found.faster, found.free) == (None, 32)
    assert found.widths == tuple(range(30, 41))


def test_widths_of_groups_stay_whole(model: ExecutionTimeModel) -> None:
    found = staircase(model, conv(32, 32, 28, groups=4))
    assert all(width % 4 == 0 for width in found.widths)


def test_width_of_both_sides() -> None:
    wider = with_width(conv(30, 30, 8, groups=30), "out_channels", 32)
    assert (wider.input[1], wider.output[1], wider.groups) == (32, 32, 32)
    added = LayerSpec("conv", ((1, 8, 4, 4), (1, 6, 4, 4)), ((1, 6, 4, 4),), conv(8, 6, 4).window, fused=("add",))
    assert with_width(added, "out_channels", 16).inputs == ((1, 8, 4, 4), (1, 16, 4, 4))
    assert with_width(added, "in_channels", 16).inputs == ((1, 16, 4, 4), (1, 6, 4, 4))
    relu = LayerSpec("unary", ((1, 8, 4, 4),), ((1, 8, 4, 4),))
    assert with_width(relu, "out_channels", 9) == LayerSpec("unary", ((1, 9, 4, 4),), ((1, 9, 4, 4),))
    dense = LayerSpec("fully_connected", ((1, 8),), ((1, 4),))
    assert with_width(dense, "out_features", 5).output == (1, 5)
    gru = LayerSpec("gru", ((9, 1, 8),), ((9, 1, 1, 16),))
    assert with_width(gru, "hidden", 20) == LayerSpec("gru", ((9, 1, 8),), ((9, 1, 1, 20),))


def test_an_axis_that_is_not_there_is_refused() -> None:
    with pytest.raises(BudgetError, match="has no width 'hidden'"):
        width_of(conv(3, 4, 5), "hidden")


def test_plot_as_text(model: ExecutionTimeModel) -> None:
    text = draw_text(staircase(model, conv(32, 30, 28)), rows=6)
    lines = text.splitlines()
    assert len(lines) == 6 + 3
    own, faster = lines[7].index("^"), lines[7].index("*")
    assert faster - own == 2
    full = [sum(line[column] == "█" for line in lines[:6]) for column in (own, faster)]
    assert full[0] > full[1]
    assert "15 to 60 output channels; ^ 30:" in lines[8]


def test_wide_staircases_are_narrowed(model: ExecutionTimeModel) -> None:
    lines = draw_text(staircase(model, conv(32, 300, 28)), columns=40).splitlines()
    assert max(map(len, lines[:11])) <= 40 + 12


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_plot_as_file(model: ExecutionTimeModel, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"stairs.{ending}"
    draw_file(staircase(model, conv(32, 30, 28)), path)
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    assert list(tmp_path.iterdir()) == [path]


def test_other_endings_are_refused(model: ExecutionTimeModel, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="ends in one of"):
        draw_file(staircase(model, conv(32, 30, 28)), tmp_path / "stairs.doc")
    assert not list(tmp_path.iterdir())
