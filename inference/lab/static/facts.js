// What is known about the run and about a slide, as lists of terms.

import { byId, describe } from "./dom.js";
import { area, whole } from "./format.js";

const POWER_UM = 10; // micrometers per pixel at 1x: 10x objectives scan at 1 µm per pixel, 40x at 0.25

/** Magnification of a pixel of so many micrometers. */
export const powerOf = (um) => POWER_UM / um;

export function describeRun(run) {
  describe(byId("run"), [["Run", run.uri], ["Model", run.model_id], ["Recipe", run.recipe], ["Threshold", String(run.threshold)]]);
  for (const text of byId("run").querySelectorAll("dd")) text.title = text.textContent;
  byId("report").hidden = !run.report;
}

export function describeSlide(slide) {
  const { width, height, mpp } = slide;
  const size = width === null ? null : `${whole(width)} × ${whole(height)} px`;
  const extent = width === null || mpp === null ? null : `${(width * mpp / 1000).toFixed(2)} × ${(height * mpp / 1000).toFixed(2)} mm`;
  describe(byId("facts"), [
    ["Name", slide.slide_id],
    ["Status", slide.status],
    ["Score", slide.score === null ? null : slide.score.toFixed(4)],
    ["Tumor area", area(slide.positive_area_mm2)],
    ["Tissue judged", area(slide.tissue_area_mm2)],
    ["Windows", slide.patches === null ? null : whole(slide.patches)],
    ["Size", size],
    ["Extent", extent],
    ["Resolution", mpp === null ? (width === null ? null : "unknown") : `${+mpp.toPrecision(4)} µm per pixel`],
    ["Processed", when(slide.processed_at)],
  ]);
}

function when(text) {
  const time = new Date(text ?? NaN);
  return Number.isNaN(time.getTime()) ? text : time.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
