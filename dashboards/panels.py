"""Owns the few shapes of panel that every dashboard is made of; what a panel must say is not optional."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from dashboards.leads import below, runbook
from dashboards.sdk import (
    Builder,
    Dataquery,
    common,
    common_models,
    dashboard,
    heatmap,
    heatmap_models,
    models,
    prometheus,
    prometheus_models,
    stat,
    statetimeline,
    table,
    timeseries,
)

DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

Panel = models.Panel
Limits = Sequence[tuple[float, str]]
"""From which value on which colour; below the first it is green, or with a first of -inf whatever that says."""


@dataclass(frozen=True, slots=True)
class About:
    """What every panel says of itself: its fixed number, what it shows, what bad looks like, where to go then.

    `empty` is what it says when there is nothing to show.
    """

    number: int
    title: str
    unit: str
    shows: str
    bad: str
    alerts: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    empty: str = "no data"

    def description(self) -> str:
        """Return the text behind the panel's (i)."""
        leads = [f"Runbook: {', '.join(map(runbook, self.alerts))}"] if self.alerts else []
        leads += [f"Next: {', '.join(map(below, self.below))}"] if self.below else []
        return "\n\n".join([self.shows, f"**Bad:** {self.bad}", *leads])


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. `exemplars` shows single requests as dots, each leading to its log line."""

    expression: str
    legend: str
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """How much room a panel takes: the grid is 24 wide."""

    width: int = 8
    height: int = 7


MEDIUM, SMALL, HALF, WIDE = Size(), Size(4, 4), Size(12), Size(24)


@dataclass(frozen=True, slots=True)
class Look:
    """How lines are drawn: limits dashed, links from a point, colours by name, the axis from 0 or as needed."""

    limits: Limits = ()
    links: Sequence[dashboard.DashboardLink] = ()
    colours: Mapping[str, str] = field(default_factory=dict)
    from_zero: bool = True


PLAIN = Look()
NO_WORDS: Mapping[str, str] = MappingProxyType({})


def timeseries_panel(about: About, *queries: Query, size: Size = MEDIUM, look: Look = PLAIN) -> Panel:
    """Return lines over time."""
    panel = timeseries.Panel().targets(_ranges(queries)).unit(about.unit).datasource(DATASOURCE).no_value(about.empty)
    panel = panel.legend(_legend()).tooltip(_tooltip()).fill_opacity(8).line_width(1)
    panel = panel.show_points(common_models.VisibilityMode.NEVER).thresholds(_thresholds(look.limits))
    drawn = common_models.GraphThresholdsStyleMode.DASHED if look.limits else common_models.GraphThresholdsStyleMode.OFF
    panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(drawn)).data_links(list(look.links))
    if look.from_zero:
        panel = panel.min(0)
    for name, colour in look.colours.items():
        fixed = models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
        panel = panel.override_by_name(name, [fixed])
    return _said(panel.build(), about, size)


def stat_panel(about: About, query: Query, *, limits: Limits = (), zero: str = "", size: Size = SMALL) -> Panel:
    """Return one number a series; `zero` is said for 0.

    It is asked for now only: the last number of a range would stay when its replica has died.
    """
    panel = (
        stat.Panel()
        .targets([_target(query, 0).instant()])
        .unit(about.unit)
        .datasource(DATASOURCE)
        .no_value(about.empty)
    )
    panel = panel.color_mode(_colours(limits)).graph_mode(common_models.BigValueGraphMode.NONE)
    panel = panel.thresholds(_thresholds(limits)).reduce_options(_last()).mappings(_zero(zero))
    return _said(panel.text_mode(common_models.BigValueTextMode.AUTO).build(), about, size)


def heatmap_panel(about: About, query: Query, size: Size = HALF) -> Panel:
    """Return how the observations of a histogram are spread, over time; the query gives its buckets."""
    target = _target(query, 0).format(prometheus_models.PromQueryFormat.HEATMAP)
    panel = heatmap.Panel().targets([target.range()]).unit(about.unit).datasource(DATASOURCE).calculate(calculate=False)
    panel = panel.y_axis(heatmap.YAxisConfig().unit(about.unit)).cell_gap(1).exemplars_color("rgba(255,0,255,0.7)")
    colours = heatmap.HeatmapColorOptions().mode(heatmap_models.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    return _said(panel.color(colours).show_legend().build(), about, size)


def states_panel(about: About, query: Query, states: dict[int, tuple[str, str]], size: Size = HALF) -> Panel:
    """Return a band for each series, coloured and named by state."""
    panel = statetimeline.Panel().targets(_ranges([query])).unit(about.unit).datasource(DATASOURCE)
    panel = (
        panel.mappings([_named(states)]).show_value(common_models.VisibilityMode.AUTO).merge_values(merge_values=True)
    )
    panel = panel.legend(_legend().show_legend(show_legend=False))
    panel = panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    return _said(panel.thresholds(_thresholds(())).build(), about, size)


def table_panel(
    about: About, query: Query, columns: Sequence[str], *, words: Mapping[str, str] = NO_WORDS, size: Size = HALF
) -> Panel:
    """Return a row for each series as it is now, with these labels as columns; `words` gives cells a colour."""
    target = _target(query, 0).format(prometheus_models.PromQueryFormat.TABLE).instant()
    panel = table.Panel().targets([target]).unit(about.unit).datasource(DATASOURCE).no_value(about.empty)
    keep = models.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(columns)}})
    order = {"indexByName": {name: index for index, name in enumerate(columns)}}
    arrange = models.DataTransformerConfig(id_val="organize", options=order)
    coloured = {word: models.ValueMappingResult(text=word, color=colour) for word, colour in words.items()}
    panel = panel.mappings([models.ValueMap(options=coloured)] if words else [])
    panel = panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color("text"))
    panel = panel.cell_options(
        common_models.TableColorTextCellOptions() if words else common_models.TableAutoCellOptions()
    )
    return _said(panel.with_transformation(keep).with_transformation(arrange).build(), about, size)


def _said(panel: Panel, about: About, size: Size) -> Panel:
    panel.id_val, panel.title, panel.description = about.number, about.title, about.description()
    panel.grid_pos = models.GridPos(w=size.width, h=size.height)
    return panel


def _target(query: Query, index: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).exemplar(query.exemplars)
    target = target.editor_mode(prometheus_models.QueryEditorMode.CODE)
    return target.ref_id(chr(ord("A") + index)).datasource(DATASOURCE)


def _ranges(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    return [_target(query, index).range() for index, query in enumerate(queries)]


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    above = [models.Threshold(value=value, color=colour) for value, colour in limits if value != float("-inf")]
    lowest = next((colour for value, colour in limits if value == float("-inf")), GREEN)
    steps = [models.Threshold(value=None, color=lowest), *above]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _colours(limits: Limits) -> common_models.BigValueColorMode:
    return common_models.BigValueColorMode.BACKGROUND if limits else common_models.BigValueColorMode.VALUE


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(values=False)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST)
    return legend.placement(common_models.LegendPlacement.BOTTOM).show_legend(show_legend=True)


def _tooltip() -> common.VizTooltipOptions:
    shared = common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI)
    return shared.sort(common_models.SortOrder.DESCENDING)


def _named(states: dict[int, tuple[str, str]]) -> models.ValueMap:
    named = {str(state): models.ValueMappingResult(text=text, color=colour) for state, (text, colour) in states.items()}
    return models.ValueMap(options=named)


def _zero(text: str) -> list[models.ValueMapping]:
    return [_named({0: (text, BLUE)})] if text else []
