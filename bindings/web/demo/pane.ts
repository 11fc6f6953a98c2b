/** One side of the page: a picture or the camera, the faces in it, and the one that is chosen. */

import { type Face, type Gate, loadImage, type Picture } from "../src/index.js";
import { frames } from "./camera.js";
import { drawScene, type Shown } from "./draw.js";

/** What a pane needs of the page. */
export interface Page {
  analyze(picture: Picture): Promise<Face[]>;
  gate(): Gate;
  changed(): void;
}

export class Pane {
  private picture: Picture | null = null;
  private shown: Shown[] = [];
  private index = 0;
  private mirrored = false;
  private turn = 0; // of several analyses under way, only the last one's answer is shown
  private live: AbortController | null = null;
  private readonly canvas: HTMLCanvasElement;
  private readonly list: HTMLElement;
  private readonly camera: HTMLButtonElement;

  constructor(
    private readonly root: HTMLElement,
    private readonly page: Page,
  ) {
    const template = document.querySelector<HTMLTemplateElement>("#pane")!;
    root.append(template.content.cloneNode(true));
    this.canvas = this.part("canvas");
    this.list = this.part(".faces");
    this.camera = this.part("button.camera");
    const input = this.part<HTMLInputElement>("input");
    input.addEventListener("change", () => {
      void this.take(input.files?.[0]);
      input.value = ""; // so that the same file can be chosen again
    });
    this.camera.addEventListener("click", () => (this.live ? this.stop() : void this.run()));
    this.canvas.addEventListener("click", (event) => this.pick(event));
    this.acceptDrops(this.part(".stage"));
  }

  /** The chosen face and the picture that it is in. */
  get chosen(): (Shown & { picture: Picture }) | null {
    const shown = this.shown[this.index];
    return shown && this.picture ? { ...shown, picture: this.picture } : null;
  }

  /** Judge and draw again what is there: another gate, or (`anew`) another model. */
  async refresh(anew: boolean): Promise<void> {
    if (!this.picture || this.live) return;
    const faces = this.shown.map(({ face }) => face);
    if (anew) await this.guarded(() => this.analyze(this.picture!, this.mirrored));
    else this.show(this.picture, faces, this.mirrored);
  }

  /** Let the camera go. */
  stop(): void {
    this.live?.abort();
    this.live = null;
    this.turn++;
    this.camera.setAttribute("aria-pressed", "false");
    this.camera.textContent = "Camera";
    this.part(".rate").hidden = true;
  }

  private async take(file: File | undefined): Promise<void> {
    if (!file) return;
    this.stop();
    await this.guarded(async () => this.analyze(await loadImage(file, file.name), false));
  }

  private async run(): Promise<void> {
    const live = (this.live = new AbortController());
    this.camera.setAttribute("aria-pressed", "true");
    this.camera.textContent = "Keep this frame";
    await this.guarded(async () => {
      let before = performance.now();
      for await (const picture of frames(this.part("video"), live.signal)) {
        await this.analyze(picture, true);
        const now = performance.now();
        this.tell(now - before);
        before = now;
      }
    });
    if (this.live === live) this.stop();
  }

  private async analyze(picture: Picture, mirrored: boolean): Promise<void> {
    const turn = ++this.turn;
    const faces = await this.page.analyze(picture);
    if (turn === this.turn) this.show(picture, faces, mirrored);
  }

  private show(picture: Picture, faces: readonly Face[], mirrored: boolean): void {
    if (picture !== this.picture && !this.live) this.index = 0;
    this.picture = picture;
    this.shown = faces.map((face) => ({ face, refusal: this.page.gate().refusal(face) }));
    this.index = Math.min(this.index, Math.max(faces.length - 1, 0));
    this.mirrored = mirrored;
    this.part(".empty").hidden = true;
    this.draw();
    this.page.changed();
  }

  private draw(): void {
    if (!this.picture) return;
    drawScene(this.canvas, this.picture, this.shown, this.index, this.mirrored);
    const count = this.shown.length;
    this.canvas.setAttribute(
      "aria-label",
      count === 1 ? "A picture with one face" : `A picture with ${count || "no"} faces`,
    );
    this.list.replaceChildren(...this.shown.map((shown, i) => this.card(shown, i)));
    if (!count) this.list.replaceChildren(element("li", "No face found"));
  }

  private card({ face, refusal }: Shown, i: number): HTMLElement {
    const card = element("button");
    card.className = "face";
    card.setAttribute("type", "button");
    card.setAttribute("aria-pressed", String(i === this.index));
    card.addEventListener("click", () => this.choose(i));
    const { pose, quality } = face;
    const facts = element("dl");
    facts.append(
      fact("Score", face.score.toFixed(2)),
      fact("Quality", quality === null ? "–" : quality.toFixed(2)),
      fact("Side", `${Math.round(Math.min(face.box[2] - face.box[0], face.box[3] - face.box[1]))} px`),
      fact("Yaw", degrees(pose?.yawDeg)),
      fact("Pitch", degrees(pose?.pitchDeg)),
      fact("Roll", degrees(pose?.rollDeg)),
    );
    card.append(facts);
    if (refusal) card.append(Object.assign(element("span", `Refused, ${refusal}`), { className: "refused" }));
    const item = element("li");
    item.append(card);
    return item;
  }

  private choose(i: number): void {
    this.index = i;
    this.draw();
    this.list.querySelectorAll<HTMLElement>(".face")[i]?.focus({ preventScroll: true });
    this.page.changed();
  }

  private pick(event: MouseEvent): void {
    const point = this.toPicture(event);
    const inside = ({ face: { box } }: Shown) =>
      point.x >= box[0] && point.x <= box[2] && point.y >= box[1] && point.y <= box[3];
    const i = this.shown.findIndex(inside);
    if (i >= 0) this.choose(i);
  }

  /** From a click to a pixel: the canvas is fitted into its box, centred. */
  private toPicture({ offsetX, offsetY }: MouseEvent): { x: number; y: number } {
    const { clientWidth, clientHeight } = this.canvas;
    const { width, height } = this.picture ?? { width: 1, height: 1 };
    const scale = Math.min(clientWidth / width, clientHeight / height);
    const x = (offsetX - (clientWidth - width * scale) / 2) / scale;
    const y = (offsetY - (clientHeight - height * scale) / 2) / scale;
    return { x: this.mirrored ? width - x : x, y };
  }

  private acceptDrops(stage: HTMLElement): void {
    stage.addEventListener("dragover", (event) => {
      event.preventDefault();
      stage.classList.add("over");
    });
    stage.addEventListener("dragleave", () => stage.classList.remove("over"));
    stage.addEventListener("drop", (event) => {
      event.preventDefault();
      stage.classList.remove("over");
      void this.take(event.dataTransfer?.files[0]);
    });
  }

  private tell(milliseconds: number): void {
    const rate = this.part(".rate");
    rate.hidden = !this.live;
    rate.textContent = `${(1000 / milliseconds).toFixed(1)} frames/s`;
    rate.dataset["frames"] = String(Number(rate.dataset["frames"] ?? 0) + 1);
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    this.part(".fault").textContent = "";
    try {
      await work();
    } catch (error) {
      this.part(".fault").textContent = error instanceof Error ? error.message : String(error);
    }
  }

  private part<T extends HTMLElement>(selector: string): T {
    return this.root.querySelector<T>(selector)!;
  }
}

function element(tag: string, content = ""): HTMLElement {
  return Object.assign(document.createElement(tag), { textContent: content });
}

function fact(name: string, value: string): HTMLElement {
  const pair = element("div");
  pair.append(element("dt", name), element("dd", value));
  return pair;
}

function degrees(angle: number | undefined): string {
  return angle === undefined ? "–" : `${Math.round(angle) || 0}°`; // no "-0"
}
