"""The CSV of measurements: defaults, names of bad cells, and the round trip."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.errors import DataError
from edgewright.graph.types import KINDS, LayerSpec, Window
from edgewright.profile import Measurement, Profile, dump_profile, load_profile
from edgewright.timing.layer_rows import layer_to_row, row_to_layer
from edgewright.timing.measurements_csv import read_csv, write_csv


def read(text: str) -> Profile:
    return read_csv(text.splitlines(keepends=True), "phone.csv", "phone")


def layer_of(**cells: object) -> LayerSpec:
    return row_to_layer({name: str(value) for name, value in cells.items()})


def test_an_example() -> None:
    profile = read(
        "kind,in_channels,out_channels,kernel_h,stride_h,in_height,in_width,time_ms\n"
        "conv,32,64,3,1,56,56,0.69\n"
        "\n"
        "depthwise_conv,64,,3,2,56,56,0.12\n"
        "fully_connected,1280,1000,,,,,0.31\n"
    )
    assert [m.layer.kind for m in profile.measurements] == ["conv", "depthwise_conv", "fully_connected"]
    assert [m.median_s for m in profile.measurements] == pytest.approx([0.69e-3, 0.12e-3, 0.31e-3])
    assert profile.device == "phone"
    assert profile.measurements[1].layer == LayerSpec(
        "depthwise_conv", ((1, 64, 56, 56),), ((1, 64, 28, 28),), Window((3, 3), (2, 2), (1, 1), ((0, 1), (0, 1))), 64
    )


def test_units_of_time() -> None:
    for unit, text in (("us", "5.0"), ("ms", "0.005"), ("s", "5e-6")):
        profile = read(f"kind,in_features,out_features,time_{unit}\nfully_connected,3,4,{text}\n")
        assert profile.measurements[0].median_s == pytest.approx(5e-6)


def test_padding() -> None:
    common = {"kind": "conv", "in_channels": 3, "out_channels": 4, "kernel_h": 3, "in_height": 9, "in_width": 9}
    assert layer_of(**common).output == (1, 4, 9, 9)
    assert layer_of(**common, padding="valid").output == (1, 4, 7, 7)
    assert layer_of(**common, padding=2).output == (1, 4, 11, 11)
    assert layer_of(**common, pad_top=0).output == (1, 4, 7, 9)
    given = layer_of(**common, stride_h=2, out_height=4, out_width=4)
    assert given.window is not None
    assert (given.output, given.window.padding) == ((1, 4, 4, 4), ((0, 0), (0, 0)))


def test_other_defaults() -> None:
    assert layer_of(kind="conv", in_channels=8, out_channels=16, kernel_w=5, in_width=100).window == Window(
        (5,), (1,), (1,), ((2, 2),)
    )
    pool = layer_of(kind="max_pool", in_channels=8, kernel_h=2, in_height=8, in_width=8)
    assert pool.output == (1, 8, 4, 4)
    assert (
        layer_of(kind="conv", in_channels=8, out_channels=8, groups=8, kernel=3, in_height=4, in_width=4).kind
        == "depthwise_conv"
    )
    up = layer_of(kind="transposed_conv", in_channels=8, out_channels=4, kernel=4, stride=2, in_height=5, in_width=5)
    assert up.output == (1, 4, 10, 10)
    assert layer_of(kind="gru", steps=10, in_features=40, hidden=64).output == (10, 1, 1, 64)
    assert layer_of(kind="matmul", rows=4, inner=5, columns=6).inputs == ((1, 4, 5), (1, 5, 6))
    assert layer_of(kind="binary", in_channels=4, in_height=2, in_width=2).inputs == ((1, 4, 2, 2), (1, 4, 2, 2))
    assert layer_of(kind="global_pool", in_channels=4, in_height=7, in_width=7).output == (1, 4, 1, 1)
    assert layer_of(kind="dense", in_features=4, out_features=2, fused="add + relu", dtype="int8").fused == (
        "add",
        "relu",
    )


HEADER = "kind,in_channels,out_channels,kernel_h,stride_h,groups,in_height,in_width,time_us\n"


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("conv,32,64,3,1,1,56,56,", "time_us"),
        ("conv,32,64,3,1,1,56,56,fast", "time_us"),
        ("conv,32,64,3,1,1,56,56,-4", "time_us"),
        ("conv,32,64,3,1,1,56,56,0", "time_us"),
        ("conv,32,64,3,1,1,56,56,nan", "time_us"),
        ("conv,32,64,3,1,1,56,56,inf", "time_us"),
        ("konv,32,64,3,1,1,56,56,4", "kind"),
        (",32,64,3,1,1,56,56,4", "kind"),
        ("conv,,64,3,1,1,56,56,4", "in_channels"),
        ("conv,many,64,3,1,1,56,56,4", "in_channels"),
        ("conv,3.5,64,3,1,1,56,56,4", "in_channels"),
        ("conv,0,64,3,1,1,56,56,4", "in_channels"),
        ("conv,1e300,64,3,1,1,56,56,4", "in_channels"),
        ("conv,32,64,,1,1,56,56,4", "kernel_h"),
        ("conv,32,64,3,-1,1,56,56,4", "stride_h"),
        ("conv,32,64,3,1,5,56,56,4", "groups"),
        ("conv,32,64,3,1,1,56,,4", "in_width"),
        ("conv,32,64,3,1,1,56,56,4,5", "10"),
    ],
)
def test_a_bad_row_is_named_by_line_and_column(row: str, column: str) -> None:
    good = "conv,32,64,3,1,1,56,56,4\n"
    with pytest.raises(DataError, match=rf"^phone.csv: line 3, column {column}: ") as caught:
        read(HEADER + good + row + "\n" + good)
    assert "line 2" not in str(caught.value)


def test_every_bad_row_counts() -> None:
    with pytest.raises(DataError, match=r"line 2, column kind.*line 6, column kind.*and 3 more bad rows"):
        read(HEADER + "nonsense,32,64,3,1,1,56,56,4\n" * 8)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "one column of time_us"),
        ("kind,in_channels\n", "one column of time_us"),
        ("kind,time_us,time_ms\n", "one column of time_us"),
        ("in_channels,time_us\n", "no column kind"),
        ("kind,time_us,kind\n", "column kind: there are two"),
        ("kind,in_chanels,time_us\n", "column in_chanels: not known; is in_channels meant"),
        ("kind,in_channels,time_us\n", "no row"),
        ('kind,time_us\n"' + "x" * 200_000 + "\n", "not CSV|kind"),
    ],
)
def test_a_bad_table_is_refused(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(text)


def test_columns_of_the_users_own_are_left_alone() -> None:
    assert read("\ufeffkind,remark,in_features,out_features,time_us\nfully_connected,mine,3,4,5\n").measurements


sizes = st.integers(1, 300)
small = st.integers(1, 4)


@st.composite
def windowed(draw: st.DrawFn) -> LayerSpec:
    axes = draw(st.integers(1, 3))
    pads = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=axes, max_size=axes))
    kernel, stride, dilation = (tuple(draw(st.lists(small, min_size=axes, max_size=axes))) for _ in range(3))
    given, made = (tuple(draw(st.lists(sizes, min_size=axes + 2, max_size=axes + 2))) for _ in range(2))
    kind = draw(st.sampled_from(["conv", "depthwise_conv", "transposed_conv", "max_pool", "average_pool"]))
    return LayerSpec(kind, (given,), (made,), Window(kernel, stride, dilation, tuple(pads)), draw(small))


shapes = st.lists(st.integers(0, 300), max_size=5).map(tuple)
names = st.sampled_from(["", "relu", "add", "max"])
others = st.builds(
    LayerSpec, st.sampled_from(KINDS), st.lists(shapes, max_size=3).map(tuple), st.lists(shapes, max_size=3).map(tuple)
)
layers = st.builds(
    replace,
    windowed() | others,
    variant=names,
    fused=st.lists(names.filter(bool), max_size=2).map(tuple),
    dtype=st.sampled_from(["float32", "int8", "uint8"]),
)
seconds = st.floats(1e-7, 10)


@given(layers)
def test_a_layer_survives_its_row(layer: LayerSpec) -> None:
    assert row_to_layer(layer_to_row(layer)) == layer


@given(st.lists(st.tuples(layers, seconds), min_size=1, max_size=5))
def test_csv_and_json_lines_round_trip(rows: list[tuple[LayerSpec, float]]) -> None:
    profile = Profile("phone", "", "", 1, tuple(Measurement(layer, (time_s,)) for layer, time_s in rows))
    assert read(write_csv(profile)) == profile
    assert load_profile(dump_profile(profile).splitlines(keepends=True)) == profile
