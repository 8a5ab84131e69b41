// Asking the lab's server, and noticing when it is gone.

const PAUSE = 2000; // ms between looks for a lost server

/** Why something could not be had, in words for a person. */
export class Refusal extends Error {}

/** Address of something that belongs to a slide; with its version, the browser may keep the answer. */
export function slideUrl(id, rest, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return `slides/${encodeURIComponent(id)}/${rest}${known.length ? `?${new URLSearchParams(known)}` : ""}`;
}

export class Server extends EventTarget {
  #lost = false;

  run = () => this.#json("api/run");
  slides = () => this.#json("api/slides");
  slide = (id, signal) => this.#json(`api/slides/${encodeURIComponent(id)}`, signal);

  /** The probability at a level-0 pixel; null where nothing was judged. */
  async probability(id, x, y, signal) {
    const answer = await this.#json(slideUrl(id, "probability", { x: Math.floor(x), y: Math.floor(y) }), signal);
    return answer.probability;
  }

  /** What the server says about an address that failed as an image; null where it answers well now. */
  async whyNot(url) {
    const answer = await this.#ask(url);
    return answer.ok ? null : reason(answer);
  }

  async #json(url, signal) {
    const answer = await this.#ask(url, signal);
    if (!answer.ok) throw new Refusal(await reason(answer));
    return answer.json();
  }

  async #ask(url, signal) {
    try {
      const answer = await fetch(url, { signal, cache: "no-cache" });
      if (this.#lost) this.#tell(false);
      return answer;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (!this.#lost) {
        this.#tell(true);
        this.#look();
      }
      throw new Refusal("The lab's server does not answer.");
    }
  }

  #tell(lost) {
    this.#lost = lost;
    this.dispatchEvent(new Event(lost ? "lost" : "found"));
  }

  #look() {
    setTimeout(() => {
      if (this.#lost) this.run().catch(() => this.#look());
    }, PAUSE);
  }
}

async function reason(answer) {
  const text = await answer.text();
  try {
    const told = JSON.parse(text);
    return told.error ?? text;
  } catch {
    return text.slice(0, 300) || `The server answered ${answer.status}.`;
  }
}
