/** The page: models, two sides, a gate, and the verdict on the two faces that are chosen. */

import { type Face, type FaceAnalyzer, Gate, type Picture } from "../src/index.js";
import { drawCrop } from "./draw.js";
import { type Choice, local, openBoth, served, type Task } from "./models.js";
import { type Page, Pane } from "./pane.js";

const find = <T extends HTMLElement>(selector: string) => document.querySelector<T>(selector)!;
const selects = {
  detection: find<HTMLSelectElement>("#detection"),
  recognition: find<HTMLSelectElement>("#recognition"),
};
const choices: Record<Task, Choice[]> = { detection: [], recognition: [] };
let opened: Promise<FaceAnalyzer> | null = null;

const page: Page = {
  analyze,
  gate: () =>
    new Gate({
      quality: find<HTMLInputElement>("#quality").valueAsNumber,
      sidePx: find<HTMLInputElement>("#side").valueAsNumber,
    }),
  changed: () => void judge(),
};
const panes = [...document.querySelectorAll<HTMLElement>(".pane")].map((root) => new Pane(root, page));

/** Find and judge faces; once more if other models were opened, and these closed, meanwhile. */
async function analyze(picture: Picture): Promise<Face[]> {
  for (;;) {
    const now = opened;
    if (!now) throw new Error("no models yet: open a detector and a recogniser above");
    try {
      return await (await now).analyze(picture);
    } catch (error) {
      if (now === opened) throw error;
    }
  }
}

/** Compare the two chosen faces, if the gate lets them. */
async function judge(): Promise<void> {
  const [a, b] = panes.map((pane) => pane.chosen);
  const analyzer = await opened?.catch(() => null);
  const crops = document.querySelectorAll<HTMLCanvasElement>(".pair canvas");
  [a, b].forEach((side, i) =>
    drawCrop(crops[i]!, side && analyzer ? analyzer.embedder.align(side.picture, side.face.landmarks) : null),
  );
  if (!analyzer || !a || !b) return say("none", "Show two faces", "One on each side, from a file or the camera.");
  const refusal = a.refusal ?? b.refusal;
  if (refusal) return say("none", "Not compared", `The ${a.refusal ? "first" : "second"} face is ${refusal}.`);
  try {
    const decision = analyzer.decide(a.face, b.face);
    const state = !decision.calibrated ? "none" : decision.far === null ? "no" : "yes";
    const [word, rest] = halves(String(decision), decision.calibrated ? ": " : "; ");
    say(state, sentence(word), sentence(rest));
  } catch (error) {
    say("none", "Cannot be compared", error instanceof Error ? error.message : String(error));
  }
}

function say(state: "none" | "yes" | "no", word: string, reason: string): void {
  find("#verdict").dataset["state"] = state;
  const heading = find("#verdict .word");
  if (heading.textContent !== word) heading.textContent = word; // a screen reader reads what changes
  find("#verdict .reason").textContent = reason;
}

/** Offer models and open the first of each kind, or those just added. */
function offer(added: readonly Choice[]): void {
  for (const choice of added) {
    const { task } = choice;
    choices[task].unshift(choice);
    selects[task].replaceChildren(...choices[task].map(({ label }, i) => new Option(label, String(i))));
    selects[task].disabled = false;
    selects[task].value = "0";
  }
  void reopen();
}

async function reopen(): Promise<void> {
  const [detection, recognition] = [
    choices.detection[selects.detection.selectedIndex],
    choices.recognition[selects.recognition.selectedIndex],
  ];
  if (!detection || !recognition) {
    const lacks = detection ? "A recogniser is" : recognition ? "A detector is" : "Models are";
    return tell(`${lacks} missing: open model files that pocketface exported, .onnx or .tflite.`);
  }
  tell("Opening the models…");
  const before = opened;
  const now = (opened = (before?.catch(() => null) ?? Promise.resolve(null)).then(async (old) => {
    await Promise.all([old?.detector.close(), old?.embedder.close()]);
    return openBoth(detection, recognition);
  }));
  try {
    const { license } = (await now).embedder.artifact.contract;
    if (opened === now) tell(`Ready. Licence of the recogniser: ${license}.`);
  } catch (error) {
    return tell(error instanceof Error ? error.message : String(error), true);
  }
  for (const pane of panes) await pane.refresh(true);
}

function tell(text: string, bad = false): void {
  const status = find("#status");
  document.body.toggleAttribute("data-ready", text.startsWith("Ready"));
  status.toggleAttribute("data-bad", bad);
  status.textContent = text;
}

function halves(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + mark.length)];
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function gateMoved(): void {
  find("output[for=quality]").textContent = page.gate().quality.toFixed(2);
  find("output[for=side]").textContent = `${page.gate().sidePx} px`;
  for (const pane of panes) void pane.refresh(false);
}

find("#gate").addEventListener("input", gateMoved);
for (const select of Object.values(selects)) select.addEventListener("change", () => void reopen());
find("#files").addEventListener("change", (event) => {
  local((event.target as HTMLInputElement).files ?? []).then(offer, (error: Error) => tell(error.message, true));
});
document.addEventListener("visibilitychange", () => document.hidden && panes.forEach((pane) => pane.stop()));
served().then(
  (found) => offer(found.reverse()),
  () => offer([]),
);
