# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons of the job list: cancel, log, dismiss, import into another scene, copy a text."""

from __future__ import annotations

import bpy

from . import queue

LOG = "Hyoid log"


class _OfJob:
    """Base of the buttons of one job."""

    bl_options = {"INTERNAL"}

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def found(self) -> queue.Job | None:
        """The job, or None after telling that it is gone."""
        job = queue.find(self.job)
        if job is None:
            self.report({"INFO"}, "This job is over")
        return job


class HYOID_OT_cancel_job(_OfJob, bpy.types.Operator):
    """Stop this job; what it has not finished is thrown away, and no half-written file stays"""

    bl_idname = "hyoid.cancel_job"
    bl_label = "Cancel"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Ask the process to end; the queue sees it end."""
        job = self.found()
        if job is not None:
            queue.cancel(job)
        return {"FINISHED"}


class HYOID_OT_dismiss_job(_OfJob, bpy.types.Operator):
    """Take this message away; files that were written stay"""

    bl_idname = "hyoid.dismiss_job"
    bl_label = "Dismiss"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Forget the job."""
        job = self.found()
        if job is not None:
            queue.dismiss(job)
        return {"FINISHED"}


class HYOID_OT_dismiss_failed_jobs(bpy.types.Operator):
    """Take all error messages away; files that were written stay"""

    bl_idname = "hyoid.dismiss_failed_jobs"
    bl_label = "Dismiss All Errors"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Forget the jobs that failed."""
        for job in queue.jobs():
            if job.state == queue.FAILED:
                queue.dismiss(job)
        return {"FINISHED"}


class HYOID_OT_show_job_log(_OfJob, bpy.types.Operator):
    """Show everything that the toolkit said during this job, in a window of its own"""

    bl_idname = "hyoid.show_job_log"
    bl_label = "Show Log"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Put the log into a text and open it."""
        job = self.found()
        if job is None:
            return {"CANCELLED"}
        text = bpy.data.texts.get(LOG) or bpy.data.texts.new(LOG)
        text.use_fake_user = False
        text.from_string(job.log)
        text.select_set(0, 0, 0, 0)  # the cursor would lie at the end, and the editor would show nothing else
        if not bpy.app.background:
            self._open(context, text)
        return {"FINISHED"}

    def _open(self, context: bpy.types.Context, text: bpy.types.Text) -> None:
        """Show the text in a text editor that is open, else in a new window."""
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                if area.type == "TEXT_EDITOR":
                    area.spaces.active.text = text
                    area.tag_redraw()
                    return
        known = set(context.window_manager.windows)
        bpy.ops.wm.window_new()
        window = next(window for window in context.window_manager.windows if window not in known)
        area = window.screen.areas[0]
        area.type = "TEXT_EDITOR"
        area.spaces.active.text = text
        area.spaces.active.show_word_wrap = True
        area.spaces.active.top = 0


class HYOID_OT_import_job_result(_OfJob, bpy.types.Operator):
    """Import the result of this job into the scene that you see now"""

    bl_idname = "hyoid.import_job_result"
    bl_label = "Import into This Scene"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Give the result to the job's handler, for the current scene and its active character."""
        job = self.found()
        if job is None or not job.lost:
            return {"CANCELLED"}
        job.payload = {**job.payload, "anywhere": True}
        queue.deliver_to(job, context.scene)
        if job.state == queue.FAILED:
            self.report({"ERROR"}, job.error)
            return {"CANCELLED"}
        self.report({"INFO"}, job.message)
        return {"FINISHED"}


class HYOID_OT_copy_text(bpy.types.Operator):
    """Copy this line, to paste it into a terminal"""

    bl_idname = "hyoid.copy_text"
    bl_label = "Copy"
    bl_options = {"INTERNAL"}

    text: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Put the text on the clipboard."""
        context.window_manager.clipboard = self.text
        self.report({"INFO"}, f"Copied: {self.text}")
        return {"FINISHED"}


CLASSES = (
    HYOID_OT_cancel_job,
    HYOID_OT_dismiss_job,
    HYOID_OT_dismiss_failed_jobs,
    HYOID_OT_show_job_log,
    HYOID_OT_import_job_result,
    HYOID_OT_copy_text,
)
