"""Owns what all dashboards have alike: variables, annotations, the menu, rows, and where panels stand."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards import promql
from dashboards.leads import TITLES, dashboards_menu
from dashboards.panels import DATASOURCE, Panel
from dashboards.sdk import Builder, dashboard, models, prometheus
from service.telemetry.metrics.catalogue import BUILD_INFO

GRID = 24
ANNOTATION_STEP = "1m"


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and what is under it; its number is fixed and marks its panels' numbers (100: 101, 102…)."""

    number: int
    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


def framed(uid: str, description: str, rows: Sequence[Row]) -> models.Dashboard:
    """Return the dashboard with these rows, one below the other."""
    frame = dashboard.Dashboard(TITLES[uid]).uid(uid).description(description).tags(["postback"]).readonly()
    frame = frame.time("now-1h", "now").refresh("30s").timezone("browser").variables(_variables())
    frame = frame.tooltip(models.DashboardCursorSync.CROSSHAIR).annotations(_annotations()).links(dashboards_menu(uid))
    built = frame.build()
    built.panels = _placed(rows)
    return built


def _placed(rows: Sequence[Row]) -> list[Panel | models.RowPanel]:
    placed: list[Panel | models.RowPanel] = []
    top = 0
    for row in rows:
        heading = models.RowPanel(collapsed=row.collapsed, title=row.title, id_val=row.number, panels=[])
        heading.grid_pos = models.GridPos(x=0, y=top, w=GRID, h=1)
        placed.append(heading)
        bottom = _place(row.panels, top + 1)
        if row.collapsed:
            heading.panels = list(row.panels)
            bottom = top + 1
        else:
            placed.extend(row.panels)
        top = bottom
    return placed


def _place(panels: Sequence[Panel], top: int) -> int:
    """Put panels from left to right and on; return where the next row begins."""
    left = tallest = 0
    for panel in panels:
        position = panel.grid_pos or models.GridPos()
        if left + position.w > GRID:
            top, left, tallest = top + tallest, 0, 0
        position.x, position.y = left, top
        left, tallest = left + position.w, max(tallest, position.h)
    return top + tallest


def _variables() -> list[Builder[models.VariableModel]]:
    prometheus_chosen = models.VariableOption(selected=True, text="Prometheus", value="prometheus")
    datasource = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    ours = models.VariableOption(selected=True, text=["postback"], value=["postback"])  # All: other jobs' process_* too
    everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    return [
        datasource.current(prometheus_chosen).multi(multi=False).include_all(include_all=False),
        _chosen("job", "Job", f"label_values({BUILD_INFO.name}, job)", ours),
        _chosen("instance", "Instance", f'label_values({BUILD_INFO.name}{{job=~"$job"}}, instance)', everything),
    ]


def _chosen(name: str, label: str, query: str, current: models.VariableOption) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query(query).definition(query).datasource(DATASOURCE)
    variable = variable.multi(multi=True).include_all(include_all=True).all_value(".+").current(current)
    return variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)


def _annotations() -> list[Builder[models.AnnotationQuery]]:
    versions = f"count by (version, revision) ({promql.series(BUILD_INFO)})"
    earlier = f"count by (version, revision) ({promql.series(BUILD_INFO)} offset 2m)"
    started = f"{promql.series(promql.START_TIME)} * 1000"
    return [
        _marked("Version change", f"{versions} unless {earlier}", "blue", ("version {{version}}", "{{revision}}")),
        _marked("Restart", started, "purple", ("restart", "{{instance}}")).use_value_for_time(use_value_for_time=True),
        _marked("Firing alerts", promql.FIRING, "red", ("{{alertname}}", "{{severity}} {{instance}} {{outcome}}")),
    ]


def _marked(name: str, expression: str, colour: str, said: tuple[str, str]) -> dashboard.AnnotationQuery:
    title, text = said
    query = prometheus.Dataquery().expr(expression).ref_id("Anno").range().interval(ANNOTATION_STEP)
    annotation = dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).enable(enable=True).icon_color(colour)
    return annotation.target(query).title_format(title).text_format(text)
