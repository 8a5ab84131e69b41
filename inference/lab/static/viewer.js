// The slide in OpenSeadragon: opening it, moving about, and where things are.

import { slideUrl } from "./server.js";

const CALM = matchMedia("(prefers-reduced-motion: reduce)").matches;
const STEP = 0.2; // of the view's side, for one press of an arrow key
const CLOSEST = 4; // screen pixels per level-0 pixel

/** OpenSeadragon adds a style to the page unless it finds its own there; our policy forbids inline styles, so a mark takes its place. */
function standInForStyle() {
  const mark = document.createElementNS("urn:histospark:none", "style");
  mark.setAttribute("data-openseadragon-mobile-css", "true");
  document.head.append(mark);
}

function slideSource(slide) {
  const { slide_id: id, width, height, tile_size: tileSize, max_level: maxLevel, version } = slide;
  return {
    width,
    height,
    tileSize,
    tileOverlap: 0,
    minLevel: 0,
    maxLevel,
    getTileUrl: (level, column, row) => slideUrl(id, `tiles/${level}/${column}_${row}.jpg`, { v: version?.slide }),
  };
}

/**
 * One slide at a time. Places are level-0 pixels; zoom is screen pixels per level-0 pixel.
 *
 * Events: `loaded` when all tiles of the first view are there, `move` with every frame that is drawn, `rest` when a movement has ended, `tap` (detail {x, y}, screen pixels
 * in the viewer), `unreadable` (detail: the address of a tile) when the first tile of a slide could not be had.
 */
export class SlideViewer extends EventTarget {
  #osd;
  #slide = null;
  #told = false;

  constructor(stage) {
    super();
    standInForStyle();
    this.#osd = OpenSeadragon({
      element: stage,
      drawer: "canvas", // WebGL takes the colors of wholly transparent pixels for light
      showNavigationControl: false,
      showNavigator: true,
      navigatorPosition: "BOTTOM_RIGHT",
      navigatorSizeRatio: 0.16,
      navigatorMaintainSizeRatio: true,
      navigatorBackground: "transparent",
      navigatorBorderColor: "transparent",
      navigatorDisplayRegionColor: "#d9361a",
      navigatorOpacity: 1,
      navigatorAutoFade: false,
      keyboardNavEnabled: false,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true },
      animationTime: CALM ? 0 : 0.5,
      springStiffness: 9,
      maxZoomPixelRatio: CLOSEST,
      minZoomImageRatio: 0.7,
      preserveImageSizeOnResize: true,
      imageLoaderLimit: 6, // a browser has no more connections to one server
      maxTilesPerFrame: 6,
      maxImageCacheCount: 400,
      silenceMultiImageWarnings: true,
    });
    this.#osd.canvas.setAttribute("role", "application");
    this.#listen();
  }

  get osd() { return this.#osd; }
  get slide() { return this.#slide; }

  #listen() {
    this.#osd.addHandler("update-viewport", () => this.#raise("move"));
    this.#osd.addHandler("animation-finish", () => this.#raise("rest"));
    this.#osd.addHandler("resize", () => this.#raise("rest"));
    this.#osd.addHandler("canvas-click", ({ quick, position }) => {
      if (quick) this.#raise("tap", { x: position.x, y: position.y });
    });
    this.#osd.addHandler("tile-load-failed", ({ tile }) => {
      if (!this.#told) this.#raise("unreadable", tile.getUrl());
      this.#told = true;
    });
  }

  #raise(name, detail) {
    if (this.#slide) this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Show a slide, at a view ({x, y, zoom}) where one is given, else whole; resolves when it can be moved. */
  open(slide, view) {
    this.close();
    return new Promise((resolve, reject) => {
      this.#osd.addOnceHandler("open-failed", ({ message }) => reject(new Error(message)));
      this.#osd.addOnceHandler("open", () => {
        this.#slide = slide;
        this.#told = false;
        this.#osd.canvas.setAttribute("aria-label", `Slide ${slide.slide_id}. Arrow keys pan, plus and minus zoom, 0 shows it whole.`);
        if (view) this.go(view, true);
        this.#osd.world.getItemAt(0).whenFullyLoaded(() => this.#raise("loaded"));
        resolve();
      });
      this.#osd.open(slideSource(slide));
    });
  }

  close() {
    this.#slide = null;
    this.#osd.close();
  }

  /** Middle and zoom of what is seen, or of where a movement leads to. */
  view() {
    const { viewport } = this.#osd;
    const middle = viewport.getCenter(false);
    const width = this.#slide.width;
    return { x: middle.x * width, y: middle.y * width, zoom: (viewport.getZoom(false) * viewport.getContainerSize().x) / width };
  }

  /** Zoom of the frame that is seen now. */
  zoom() {
    const { viewport } = this.#osd;
    return (viewport.getZoom(true) * viewport.getContainerSize().x) / this.#slide.width;
  }

  /** Move so that a place is in the middle; zoom is kept where none is given. */
  go({ x, y, zoom }, immediately = CALM) {
    const { viewport } = this.#osd;
    const width = this.#slide.width;
    if (zoom !== undefined) viewport.zoomTo((zoom * width) / viewport.getContainerSize().x, null, immediately);
    if (x !== undefined && y !== undefined) viewport.panTo(new OpenSeadragon.Point(x / width, y / width), immediately);
    viewport.applyConstraints(immediately);
  }

  home() {
    this.#osd.viewport?.goHome(CALM);
  }

  zoomBy(factor) {
    if (!this.#slide) return;
    this.#osd.viewport.zoomBy(factor, null, CALM);
    this.#osd.viewport.applyConstraints(CALM);
  }

  /** Pan by steps; 1 to the right or down. */
  panBy(right, down) {
    if (!this.#slide) return;
    const bounds = this.#osd.viewport.getBounds(false);
    const step = STEP * Math.min(bounds.width, bounds.height);
    this.#osd.viewport.panBy(new OpenSeadragon.Point(right * step, down * step), CALM);
    this.#osd.viewport.applyConstraints(CALM);
  }

  /** Shorter side of what is seen, screen pixels. */
  side() {
    const size = this.#osd.viewport.getContainerSize();
    return Math.min(size.x, size.y);
  }

  /** The place under a point of the viewer, screen pixels from its top left; null outside the slide. */
  placeAt(left, top) {
    if (!this.#slide) return null;
    const point = this.#osd.viewport.viewerElementToViewportCoordinates(new OpenSeadragon.Point(left, top));
    const { width, height } = this.#slide;
    const [x, y] = [point.x * width, point.y * width];
    return x >= 0 && y >= 0 && x < width && y < height ? { x, y } : null;
  }

  /** Where the slide's top left is on the screen, pixels from the viewer's: [left, top]. */
  corner() {
    const point = this.#osd.viewport.viewportToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    return [point.x, point.y];
  }
}
