// What is drawn over the slide and stays thin at every zoom: the truth's outlines and the lesions' pins.

import { element } from "./dom.js";

const LINE = 2; // screen pixels
const HALO = 4.5;
const PIN = 11; // radius of a pin's head
const STEM = 22; // from the place up to the middle of the head

/** All rings as one path in level-0 pixels. */
function pathOf(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  return path;
}

export class Overlay {
  #canvas;
  #viewer;
  #truth = null;
  #lesions = [];
  #look = { truth: true, marks: true };
  #chosen = -1;

  constructor(viewer) {
    this.#viewer = viewer;
    this.#canvas = element("canvas", { id: "overlay", ariaHidden: "true" });
    viewer.osd.canvas.after(this.#canvas); // over the slide, under the navigator
    viewer.addEventListener("move", () => this.draw());
  }

  open(slide, look) {
    this.#truth = slide.truth.length ? pathOf(slide.truth) : null;
    this.#lesions = slide.lesions;
    this.#chosen = -1;
    this.change(look);
  }

  close() {
    this.#truth = null;
    this.#lesions = [];
    this.draw();
  }

  change(look) {
    this.#look = { ...look };
    this.draw();
  }

  choose(index) {
    this.#chosen = index;
    this.draw();
  }

  draw() {
    const pen = this.#clear();
    if (!this.#viewer.slide) return;
    if (this.#look.truth && this.#truth) this.#outline(pen);
    if (this.#look.marks) this.#pins(pen);
  }

  /** The lesion whose pin is at a point of the viewer, or -1. */
  lesionAt(left, top) {
    if (!this.#look.marks) return -1;
    const near = this.#lesions.map((lesion, index) => {
      const [x, y] = this.#onScreen(lesion);
      return { index, away: Math.min(Math.hypot(x - left, y - STEM - top), Math.hypot(x - left, y - top) + 4) };
    }).filter(({ away }) => away <= PIN + 2);
    near.sort((one, other) => one.away - other.away);
    return near.length ? near[0].index : -1;
  }

  #clear() {
    const canvas = this.#canvas;
    const dots = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * dots), Math.round(canvas.clientHeight * dots)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    return pen;
  }

  #onScreen({ x, y }) {
    const [left, top] = this.#viewer.corner();
    const zoom = this.#viewer.zoom();
    return [left + x * zoom, top + y * zoom];
  }

  #outline(pen) {
    const [left, top] = this.#viewer.corner();
    const zoom = this.#viewer.zoom();
    pen.save();
    pen.translate(left, top);
    pen.scale(zoom, zoom);
    pen.lineJoin = "round";
    for (const [width, color] of [[HALO, "rgb(0 0 0 / 60%)"], [LINE, "#7dff5a"]]) {
      pen.lineWidth = width / zoom;
      pen.strokeStyle = color;
      pen.stroke(this.#truth);
    }
    pen.restore();
  }

  // The most probable one is drawn last, the chosen one over all.
  #pins(pen) {
    const order = this.#lesions.map((_, index) => index).reverse().sort((one, other) => (one === this.#chosen) - (other === this.#chosen));
    pen.font = "600 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const index of order) {
      const [x, y] = this.#onScreen(this.#lesions[index]);
      if (x < -PIN || y < -PIN || x > this.#canvas.clientWidth + PIN || y > this.#canvas.clientHeight + STEM + PIN) continue;
      this.#pin(pen, x, y, String(index + 1), index === this.#chosen);
    }
  }

  #pin(pen, x, y, text, chosen) {
    const [fill, ink] = chosen ? ["#ffd43b", "#111"] : ["#fff", "#111"];
    const middle = y - STEM;
    pen.lineWidth = 1.5;
    pen.strokeStyle = "#111";
    pen.fillStyle = fill;
    pen.beginPath();
    pen.moveTo(x, y);
    pen.arc(x, middle, PIN, Math.PI * 0.78, Math.PI * 0.22);
    pen.closePath();
    pen.fill();
    pen.stroke();
    pen.fillStyle = ink;
    pen.fillText(text, x, middle + 0.5, PIN * 1.8);
  }
}
