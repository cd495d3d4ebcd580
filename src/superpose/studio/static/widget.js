// The network view in a notebook: requests travel as messages of anywidget, the state as a trait.

import { NetworkView } from "./network_view.js";

/** @param {{model: any, el: HTMLElement}} given by anywidget */
function render({ model, el }) {
  /** @type {Map<string, (answer: any) => void>} */
  const waiting = new Map();
  // A widget may be shown several times, and every view hears every answer.
  const own = Math.random().toString(36).slice(2);
  const hear = (/** @type {any} */ answer) => {
    const resolve = waiting.get(answer?.id);
    if (resolve === undefined) return;
    waiting.delete(answer.id);
    resolve(answer);
    if (answer.entry === undefined) return;
    // Reactive notebooks run cells again when a value comes from the view, and a click only sends a message.
    model.set("clicks", model.get("clicks") + 1);
    model.save_changes();
  };
  const send = (/** @type {any} */ request) =>
    new Promise((resolve) => {
      const id = `${own}-${request.id}`;
      waiting.set(id, resolve);
      model.send({ ...request, id });
    });
  el.classList.add("sp-notebook");
  const view = new NetworkView(el, { send });
  let last = /** @type {any} */ ({});
  const refresh = () => {
    const state = model.get("state");
    // A training sends its progress many times; what stays the same is not drawn again.
    const changed = Object.fromEntries(Object.entries(state).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(last[name])));
    last = state;
    view.update(changed);
  };
  model.on("msg:custom", hear);
  model.on("change:state", refresh);
  refresh();
  return () => {
    model.off("msg:custom", hear);
    model.off("change:state", refresh);
  };
}

export default { render };
