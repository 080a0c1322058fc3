// The map: memories as dots, by the first two components of their vectors.

const RADIUS = 3.5;
const REACH = 14;

export class MemoryMap {
  /** `open` is called with the id of a dot that is chosen; `label` says what is under the pointer. */
  constructor(canvas, label, open) {
    Object.assign(this, { canvas, label, open, points: [], marked: new Set(), chosen: -1 });
    canvas.addEventListener("pointermove", (event) => this.choose(this.nearest(event)));
    canvas.addEventListener("pointerleave", () => this.choose(-1));
    canvas.addEventListener("click", (event) => {
      const found = this.nearest(event);
      if (found >= 0) open(this.points[found][0]);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Shows points: id, kind, x, y and text each. */
  show(points) {
    this.points = points;
    this.chosen = -1;
    this.canvas.setAttribute(
      "aria-label",
      `Map of ${points.length} memories. Left and right arrow keys go through them, Enter opens one.`,
    );
    const xs = points.map((point) => point[2]);
    const ys = points.map((point) => point[3]);
    const low = (list) => Math.min(-0.1, ...list);
    const high = (list) => Math.max(0.1, ...list);
    this.frame = { left: low(xs), right: high(xs), bottom: low(ys), top: high(ys) };
    this.draw();
  }

  /** Marks memories by their ids. */
  mark(ids) {
    this.marked = new Set(ids);
    this.draw();
  }

  place([, , x, y]) {
    const { left, right, bottom, top } = this.frame;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const pad = 14;
    return [
      pad + ((x - left) / (right - left)) * (width - 2 * pad),
      pad + ((top - y) / (top - bottom)) * (height - 2 * pad),
    ];
  }

  nearest(event) {
    let best = -1;
    let least = REACH ** 2;
    this.points.forEach((point, index) => {
      const [x, y] = this.place(point);
      const distance = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
      if (distance < least) [best, least] = [index, distance];
    });
    return best;
  }

  choose(index, say = false) {
    if (index === this.chosen) return;
    this.chosen = index;
    this.label.setAttribute("aria-live", say ? "polite" : "off");
    this.label.textContent = index < 0 ? "" : this.points[index][4];
    this.draw();
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && this.points.length) {
      event.preventDefault();
      this.choose((this.chosen + step + this.points.length) % this.points.length, true);
    } else if (event.key === "Enter" && this.chosen >= 0) {
      this.open(this.points[this.chosen][0]);
    }
  }

  draw() {
    const { canvas } = this;
    const scale = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const colours = { episode: colour("note"), fact: colour("fact"), procedure: colour("procedure") };
    const some = this.marked.size > 0;
    if (!this.points.length) {
      context.fillStyle = colour("faint");
      context.font = "14px system-ui, sans-serif";
      context.textAlign = "center";
      context.fillText("Every memory will be a dot here.", canvas.clientWidth / 2, canvas.clientHeight / 2);
    }
    this.points.forEach((point, index) => {
      const [x, y] = this.place(point);
      const hit = this.marked.has(point[0]);
      const strong = hit || index === this.chosen;
      context.globalAlpha = strong ? 1 : some ? 0.18 : 0.6;
      context.fillStyle = colours[point[1]] ?? colour("ink");
      context.beginPath();
      context.arc(x, y, strong ? RADIUS * 1.7 : RADIUS, 0, 2 * Math.PI);
      context.fill();
      if (strong) {
        context.strokeStyle = colour("ink");
        context.lineWidth = index === this.chosen ? 2 : 1;
        context.stroke();
      }
    });
    context.globalAlpha = 1;
  }
}
