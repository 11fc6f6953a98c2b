/** The page: what the browser offers, one frame for each run, and one report at the end. */

import { clockStep, percentile } from "./timing.js";

const $ = (id) => document.getElementById(id);
/** Seconds without a sign of life after which a run is given up: fetching and compiling may take long. */
const PATIENCE_S = 120;

/** An element with a class and children. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** What the browser says of the device. */
async function device() {
  return {
    agent: navigator.userAgent.slice(0, 400),
    cores: navigator.hardwareConcurrency ?? 0,
    secure: isSecureContext,
    isolated: crossOriginIsolated,
    clock_step_ms: clockStep(),
    gpu: await gpu(),
  };
}

async function gpu() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) return "";
    const { vendor, architecture, description } = adapter.info ?? {};
    return [vendor, architecture, description].filter(Boolean).join(" ").slice(0, 400) || "unnamed";
  } catch {
    return "";
  }
}

function showFacts(told) {
  const facts = {
    processors: told.cores || "not told",
    threads: told.isolated ? "yes" : told.secure ? "no, not isolated" : "no, needs https",
    WebGPU: told.gpu || (told.secure ? "none offered" : "no, needs https"),
    clock: `${Number(told.clock_step_ms.toPrecision(2))} ms steps`,
  };
  const rows = Object.entries(facts).map(([key, value]) => make("div", "", make("dt", "", key), make("dd", "", `${value}`)));
  $("facts").replaceChildren(...rows);
}

/** All that can be run here: every model at every setting that the browser offers. */
function planned(task, told) {
  const threads = told.isolated ? Math.min(4, told.cores || 1) : 1;
  const offered = { wasm: 1, "wasm threads": threads > 1 ? threads : 0, webgpu: told.gpu ? 1 : 0 };
  return task.models.flatMap((model, place) => {
    return task.settings.filter((setting) => offered[setting]).map((setting) => {
      return { place, model, setting, threads: offered[setting], limits: task.limits };
    });
  });
}

/** Run one model at one setting in a frame of its own. */
async function runOne({ model, setting, threads, limits }, tell) {
  const frame = make("iframe", "");
  frame.src = "runner.html";
  let hear;
  let alarm;
  let hidden = document.hidden;
  const watch = () => (hidden ||= document.hidden);
  document.addEventListener("visibilitychange", watch);
  try {
    const message = await new Promise((resolve) => {
      const wait = () => {
        clearTimeout(alarm);
        alarm = setTimeout(() => resolve({ error: `no sign of life for ${PATIENCE_S} s` }), PATIENCE_S * 1000);
      };
      hear = ({ data, source, origin }) => {
        if (source !== frame.contentWindow || origin !== location.origin) return;
        wait();
        if (data.ready) source.postMessage({ model, setting, threads, limits }, location.origin);
        else if (data.times) tell(data);
        else resolve(data);
      };
      addEventListener("message", hear);
      wait();
      document.body.append(frame);
    });
    return message.result ? { ...message.result, hidden } : { error: message.error.slice(0, 400) };
  } finally {
    clearTimeout(alarm);
    removeEventListener("message", hear);
    document.removeEventListener("visibilitychange", watch);
    frame.remove();
  }
}

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** A card for a run. */
function card({ model, setting, threads }) {
  const pill = make("span", "pill", "waiting");
  const how = `${model.engine}, ${setting.split(" ")[0]}, ${plural(threads, "thread")}`;
  const name = make("div", "", make("b", "", model.name), make("span", "with", how));
  const element = make("li", "run", make("div", "top", name, pill));
  $("runs").append(element);
  const say = (text, kind = "") => {
    pill.textContent = text;
    pill.className = `pill ${kind}`;
  };
  return { element, say };
}

/** Milliseconds with three digits at the most, without steps of a thousand. */
const shown = (ms) => (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3));

function showTimes(element, { times_ms: times, load_ms: load }) {
  const figures = { p50: percentile(times, 50), p90: percentile(times, 90), p99: percentile(times, 99), load };
  const rows = Object.entries(figures).map(([key, ms]) => {
    return make("div", "", make("dt", "", key), make("dd", "", shown(ms), make("small", "", " ms")));
  });
  element.append(make("dl", "figures", ...rows), make("p", "note", plural(times.length, "run")));
}

/** Run everything, in turn. */
async function runAll(plan) {
  const cards = plan.map(card);
  const runs = [];
  for (const [i, one] of plan.entries()) {
    const { element, say } = cards[i];
    const progress = (share) => ($("done").style.width = `${(100 * (i + share)) / plan.length}%`);
    element.classList.add("now");
    say("loading");
    $("now").textContent = `${i + 1} of ${plan.length}. Keep this page in sight; nothing else should run.`;
    const result = await runOne(one, ({ share, times }) => {
      progress(share);
      say(times.length ? `${shown(percentile(times, 50))} ms` : "warming up");
    });
    progress(1);
    element.classList.remove("now");
    if (result.error) {
      say("not run", "open");
      element.append(make("p", "note", result.error));
    } else {
      say("timed");
      showTimes(element, result);
    }
    runs.push({ model: one.place, setting: one.setting, threads: one.threads, ...result });
  }
  return { runs, cards };
}

/** What the server says of each run. */
function showVerdicts(measurements, cards) {
  measurements.forEach(({ parity, notes = [] }, i) => {
    const { element, say } = cards[i];
    if (parity) say(parity.passed ? "✓ right" : "✗ wrong", parity.passed ? "good" : "bad");
    if (!parity) return;
    const name = { cosine: "cosine", iou: "IoU of boxes" }[parity.measure] ?? parity.measure;
    const least = `, ${name} at least ${parity.value.toFixed(5)} in ${plural(parity.pictures, "picture")}`;
    element.querySelector(".note").append(least);
    for (const note of notes) element.append(make("p", "note", note));
  });
}

function conclude(text, kind) {
  $("outcome").textContent = text;
  $("outcome").className = `outcome ${kind}`;
  $("outcome").hidden = false;
  $("progress").hidden = true;
}

async function post(report) {
  const response = await fetch("report", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(report),
  });
  if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return response.json();
}

async function measureAll(task, told, name) {
  const plan = planned(task, told);
  $("start").hidden = true;
  if (!plan.length) return conclude(`This browser offers nothing of what is asked: ${task.settings.join(", ")}.`, "bad");
  $("progress").hidden = false;
  const awake = await navigator.wakeLock?.request("screen").catch(() => null);
  try {
    const { runs, cards } = await runAll(plan);
    $("now").textContent = "Sending …";
    showVerdicts(await post({ ticket: task.ticket, device: { ...told, name }, runs }), cards);
    const wrong = document.querySelector(".pill.bad");
    $("title").textContent = wrong ? "Not every answer is right" : "Done";
    $("lead").textContent = "The report is where the code was printed. This page can be closed.";
    conclude(wrong ? "Some answers depart from the right ones." : "Measured, checked and sent.", wrong ? "bad" : "good");
  } catch (error) {
    conclude(`The results could not be sent: ${error.message}`, "bad");
  } finally {
    awake?.release();
  }
}

/** Begin: with `#auto` in the address by itself, and `name=` there names the device. */
async function begin() {
  const [told, task] = await Promise.all([device(), fetch("task.json").then((response) => response.json())]);
  showFacts(told);
  const asked = new URLSearchParams(location.hash.slice(1));
  $("name").value = asked.get("name") ?? "";
  $("go").disabled = false;
  $("start").addEventListener("submit", (event) => {
    event.preventDefault();
    measureAll(task, told, $("name").value.trim() || "unnamed");
  });
  if (asked.has("auto")) measureAll(task, told, asked.get("name") || "unnamed");
}

begin().catch((error) => conclude(`This page could not begin: ${error.message}`, "bad"));
