// Building the page's elements. Text only ever enters through textContent, so no name of a slide becomes markup.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; strings become text. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Fill a <dl> with [term, description] pairs; pairs without a description are left out. */
export function describe(list, pairs) {
  const known = pairs.filter(([, text]) => text !== null && text !== undefined && text !== "");
  list.replaceChildren(...known.map(([term, text]) => element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: text }))));
}

/** `act`, at most once per `wait` milliseconds of silence. */
export function afterSilence(wait, act) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), wait);
  };
}

let hiding = 0;

/** A word to the user that leaves by itself. */
export function tell(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, 4000);
}
