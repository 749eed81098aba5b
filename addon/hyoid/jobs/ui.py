# SPDX-License-Identifier: GPL-3.0-or-later
"""How jobs look: at the top of the sidebar, and in the status bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from ..toolkit.blender import compat
from . import queue, text

BAR = "hyoid_bar_"
MOST_BARS = 8


def draw(layout: Any, context: Any) -> None:
    """Draw every job that runs, waits, failed, or just ended."""
    failed = [job for job in queue.jobs() if job.state == queue.FAILED]
    if len(failed) > 1:
        layout.operator("hyoid.dismiss_failed_jobs", text=f"Dismiss All {len(failed)} Errors", icon="X")
    for job in queue.jobs():
        box = layout.box()
        if job.state == queue.RUNNING:
            _draw_running(box, context, job)
        elif job.state == queue.WAITING:
            row = box.row(align=True)
            row.label(text=f"{job.label}: waits its turn", icon="TIME")
            _button(row, "hyoid.cancel_job", job, "X")
        elif job.state == queue.READY:
            text.draw(box, context, f"{job.label}: finished, comes in when you leave this mode", "TIME")
        elif job.state == queue.FAILED:
            _draw_failed(box, context, job)
        elif job.state == queue.DONE:
            row = box.row(align=True)
            row.label(text=job.label, icon="CHECKMARK")
            _button(row, "hyoid.show_job_log", job, "TEXT")
            _button(row, "hyoid.dismiss_job", job, "X")
            text.draw(box, context, job.message[:1].upper() + job.message[1:])


def _draw_running(box: Any, context: Any, job: queue.Job) -> None:
    cancelling = job.child is not None and job.child.cancelled
    row = box.row(align=True)
    row.label(text=job.label, icon="PLAY")
    clock = row.row()
    clock.alignment = "RIGHT"
    clock.label(text=text.clock(job.elapsed))
    index = queue.running().index(job)
    what = "cancelling" if cancelling else job.what
    compat.draw_progress(box.row(), job.fraction or 0.0, what, bar(context, index))
    row = box.row(align=True)
    stop = row.row(align=True)
    stop.enabled = not cancelling
    stop.operator("hyoid.cancel_job", text="Cancel", icon="X").job = job.id
    row.operator("hyoid.show_job_log", text="Log", icon="TEXT").job = job.id


def _draw_failed(box: Any, context: Any, job: queue.Job) -> None:
    row = box.row(align=True)
    name = row.row()
    name.alert = True
    name.label(text=job.label, icon="ERROR")
    _button(row, "hyoid.dismiss_job", job, "X")
    text.draw(box, context, job.error)
    if job.lost:
        box.operator("hyoid.import_job_result", icon="IMPORT").job = job.id
    row = box.row(align=True)
    row.operator("hyoid.show_job_log", text="Log", icon="TEXT").job = job.id
    row.operator("hyoid.copy_text", text="Copy", icon="COPYDOWN").text = job.error


def _button(row: Any, operator: str, job: queue.Job, icon: str) -> None:
    row.operator(operator, text="", icon=icon, emboss=False).job = job.id


def draw_status(header: Any, context: Any) -> None:
    """The running jobs in the status bar."""
    running = [job for job in queue.jobs() if job.state in (queue.RUNNING, queue.WAITING)]
    if not running:
        return
    job = running[0]
    more = f" (+{len(running) - 1})" if len(running) > 1 else ""
    header.layout.label(
        text=f"Hyoid: {job.label} {100 * (job.fraction or 0):.0f} %, {text.clock(job.elapsed)}{more}", icon="PLAY"
    )


def bar(context: Any, index: int) -> tuple[Any, str, int]:
    """The slider that shows the progress of the running job with a number, for Blenders without bars."""
    return context.window_manager, f"{BAR}{min(index, MOST_BARS - 1)}", -1


def _percentage(index: int) -> Callable[[Any], float]:
    def percentage(_manager: Any) -> float:
        running = queue.running()
        return 100 * (running[index].fraction or 0.0) if index < len(running) else 0.0

    return percentage


def register() -> None:
    """Show jobs in the status bar."""
    for index in range(MOST_BARS):
        slider = bpy.props.FloatProperty(min=0, max=100, subtype="PERCENTAGE", precision=0, get=_percentage(index))
        setattr(bpy.types.WindowManager, f"{BAR}{index}", slider)
    bpy.types.STATUSBAR_HT_header.append(draw_status)


def unregister() -> None:
    """Show them no more."""
    bpy.types.STATUSBAR_HT_header.remove(draw_status)
    for index in range(MOST_BARS):
        delattr(bpy.types.WindowManager, f"{BAR}{index}")
