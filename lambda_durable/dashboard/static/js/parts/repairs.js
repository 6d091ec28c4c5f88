// What can be done with a run: cancel, pause and resume it, do it again.

import { post } from "../api.js";
import { h, path } from "../dom.js";
import { go } from "../router.js";
import { choice, json, open } from "./dialog.js";
import { notice } from "./notice.js";

export function askCancel(run, changed) {
  open({
    title: `Cancel this run of ${run.function_id}?`,
    body: [h("p", { class: "soft" }, "It starts no further step, and what its steps did is undone where they have an undo.")],
    submit: "Cancel the run",
    cancel: "Leave it",
    danger: true,
    act: async () => {
      const { done } = await post(path`/v1/runs/${run.run_id}/cancel`);
      notice(done ? "The run is being cancelled." : "The run was over already.");
      await changed();
    },
  });
}

export async function togglePause(run, changed) {
  try {
    const { done } = await post(run.paused ? path`/v1/runs/${run.run_id}/resume` : path`/v1/runs/${run.run_id}/pause`);
    if (!done && run.paused) notice("The run itself is not paused: its function is, which is resumed there.");
  } catch (error) {
    notice(error.message);
  }
  await changed();
}

/** Ask from which step, and with which data. */
export function askRerun(run, from = null) {
  const data = run.event?.data;
  const steps = run.steps.filter(({ kind }) => kind !== "undo");
  const asked = choice("from", "From", [["", "the start"], ...steps.map(({ id }) => [id, `step ${id}`])], from ?? "");
  open({
    title: `Do this run of ${run.function_id} again`,
    body: [h("p", { class: "soft" }, "A new run begins on the present code. From a step: what had ended before it began is kept.")],
    fields: run.batch || run.event_truncated ? [asked] : [asked, json("data", "Data of its event (JSON)", data ?? {})],
    submit: "Rerun",
    act: async (values) => {
      const edited = values.data !== undefined && JSON.stringify(values.data) !== JSON.stringify(data);
      const again = await post(path`/v1/runs/${run.run_id}/rerun`, {
        ...(values.from && { from_step: values.from }), ...(edited && { data: values.data }),
      });
      await go(path`/runs/${again.run_id}`);
    },
  });
}
