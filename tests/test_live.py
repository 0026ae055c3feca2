"""The bokeh plot that the kernel changes: what is sent, what a late view gets, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.models import ColumnDataSource, Row, Slider, Span
from bokeh.plotting import figure

from cnmf_engine.base.errors import InputError
from workshop_utils.widgets.live import LivePlot
from workshop_utils.widgets.live.bokehjs import bokehjs_file, bokehjs_url
from workshop_utils.widgets.live.plot import packed


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test asks the internet."""
    monkeypatch.setenv("BOKEH_RESOURCES", "inline")


@pytest.fixture
def plot():
    picture = figure(width=300, height=200)
    picture.scatter("x", "y", source=ColumnDataSource({"x": [], "y": []}, name="marks"))
    picture.image("image", 0, 0, 1, 1, source=ColumnDataSource({"image": []}, name="picture"))
    picture.add_layout(Span(location=1.0, dimension="width", name="line"))
    return LivePlot(picture, 300, 200, "marks on a picture")


@pytest.fixture
def sent(plot, monkeypatch):
    """The names of the traits in each message to the page."""
    messages = []
    # The set is emptied after it was sent, so it is copied.
    monkeypatch.setattr(
        plot, "send_state", lambda key=None: messages.append({key} if isinstance(key, str) else set(key))
    )
    return messages


def unpacked(value):
    return np.frombuffer(value["bytes"], value["dtype"]).reshape(value["shape"])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_arrays_travel_as_bytes_in_their_own_type(dtype):
    array = np.arange(6).astype(dtype).reshape(2, 3)
    there = packed(array.T)
    assert there["dtype"] == dtype and there["shape"] == [3, 2]
    np.testing.assert_array_equal(unpacked(there), array.T)


def test_types_that_a_page_lacks_are_converted_without_loss():
    assert packed(np.array([True, False]))["dtype"] == "uint8"
    np.testing.assert_array_equal(unpacked(packed(np.array([2**40, -1]))), [2.0**40, -1.0])
    assert packed(np.zeros(0, np.float32))["shape"] == [0]


def test_numbers_become_what_json_knows():
    value = packed({"a": np.float32(0.5), "b": [np.nan, np.inf, 3], "c": (np.int64(4), "x", None, True)})
    assert value == {"a": 0.5, "b": [None, None, 3], "c": [4, "x", None, True]}


def test_each_named_model_has_a_trait_that_holds_all_that_was_set(plot):
    assert sorted(plot.names) == ["line", "marks", "picture"]
    plot.update(line={"location": 2.0}, marks={"data": {"x": np.arange(3.0)}})
    plot.update(line={"line_width": 4}, marks={"data": {"y": np.ones(3)}})
    state = plot.get_state()
    assert state["of_line"] == {"location": 2.0, "line_width": 4}
    assert set(state["of_marks"]["data"]) == {"x", "y"}
    np.testing.assert_array_equal(unpacked(plot.state("marks")["data"]["x"]), [0, 1, 2])


def test_marks_do_not_send_the_picture_again(plot, sent):
    plot.update(picture={"data": {"image": [np.zeros((64, 64), np.float32)]}}, line={"location": 3})
    plot.update(marks={"data": {"x": np.zeros(2), "y": np.zeros(2)}}, line={"location": 4})
    assert [set(each) for each in sent] == [{"of_picture", "of_line"}, {"of_marks", "of_line"}]


def test_what_is_the_same_is_not_sent(plot, sent):
    plot.update(line={"location": 3})
    plot.update(line={"location": 3})
    assert len([each for each in sent if each]) == 1


def test_change_later_does_not_reach_into_what_was_sent(plot):
    column = np.zeros(2)
    plot.update(marks={"data": {"x": column}})
    column[:] = 9
    np.testing.assert_array_equal(unpacked(plot.state("marks")["data"]["x"]), [0, 0])


def test_unknown_names_and_properties_are_refused_before_anything_changes(plot):
    with pytest.raises(InputError, match=r"(?s)'lines'.*use one of: line, marks, picture"):
        plot.update(line={"location": 9}, lines={"location": 1})
    with pytest.raises(InputError, match="a property of line"):
        plot.update(marks={"data": {"x": np.ones(1)}}, line={"place": 1})
    assert plot.state("line") == plot.state("marks") == {}


def test_two_models_of_one_name_are_refused():
    picture = figure()
    for _ in range(2):
        picture.add_layout(Span(location=0, dimension="width", name="twice"))
    with pytest.raises(InputError, match="several called 'twice'"):
        LivePlot(picture, 300, 200)


def test_bokehs_own_widgets_are_refused():
    with pytest.raises(InputError, match="bokeh's Slider"):
        LivePlot(Row(figure(), Slider(start=0, end=1, value=0)), 300, 200)


def test_page_that_asks_for_bokehjs_gets_the_installed_one(plot, monkeypatch):
    answers = []
    monkeypatch.setattr(plot, "send", lambda content, buffers=None: answers.append((content, buffers)))
    plot._handle_custom_msg({"kind": "something else"}, [])
    assert answers == []
    plot._handle_custom_msg({"kind": "bokehjs"}, [])
    [(content, [script])] = answers
    assert content == {"kind": "bokehjs"} and script == bokehjs_file()
    assert plot.version.encode() in script and len(script) > 500_000


def test_missing_bokehjs_is_told_to_the_page(plot, monkeypatch):
    def missing():
        raise FileNotFoundError("bokeh.min.js")

    answers = []
    monkeypatch.setattr("workshop_utils.widgets.live.plot.bokehjs_file", missing)
    monkeypatch.setattr(plot, "send", lambda content, buffers=None: answers.append((content, buffers)))
    plot._handle_custom_msg({"kind": "bokehjs"}, [])
    assert "bokeh.min.js" in answers[0][0]["error"] and answers[0][1] is None


@pytest.mark.parametrize(("wish", "start"), [("inline", ""), ("cdn", "https://")])
def test_address_of_bokehjs_follows_bokehs_setting(wish, start, monkeypatch):
    monkeypatch.setenv("BOKEH_RESOURCES", wish)
    url = bokehjs_url()
    assert url == "" if not start else url.startswith(start) and "/bokeh-3" in url
