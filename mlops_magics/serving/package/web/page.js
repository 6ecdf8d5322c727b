// The form made from the signature, and what is shown of an answer.

import {BadRow, Model, text} from "./model.js";

// Classes that have a bar whatever their share, and those that have one at all; the others are
// added up.
const SURE_BARS = 5;
const MOST_BARS = 12;
const LEAST_SHARE = 0.001;
const HINTS = {string: "text", boolean: "true or false", long: "whole number", integer: "whole number"};

const at = (id) => document.getElementById(id);

function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function tell(words, mark) {
  at("status").textContent = words;
  at("status").dataset.mark = mark;
}

// ---- the form

function hint(column) {
  return `${HINTS[column.type] ?? "number"}${column.may_miss ? " or empty" : ""}`;
}

function control(column, number, rows) {
  const id = `field-${number}`;
  if (column.type === "boolean") {
    const options = ["true", "false"].map((word) => made("option", {value: word}, word));
    if (column.may_miss) options.unshift(made("option", {value: ""}, "no value"));
    return [made("select", {id}, ...options)];
  }
  const input = made("input", {id, type: "text", spellcheck: false});
  if (column.type !== "string") {
    input.inputMode = "decimal";
    return [input];
  }
  const known = [...new Set(rows.map((row) => row[column.name]).filter(Boolean))];
  input.setAttribute("list", `${id}-known`);
  return [input, made("datalist", {id: `${id}-known`}, ...known.map((value) => made("option", {value})))];
}

function field(column, number, rows) {
  const [input, ...more] = control(column, number, rows);
  input.dataset.column = column.name;
  input.setAttribute("aria-describedby", `hint-${number}`);
  const label = made("label", {htmlFor: input.id}, column.name);
  return made("div", {className: "field"}, label, input, ...more,
    made("small", {id: `hint-${number}`}, hint(column)));
}

// A model of arrays has no names to ask for: its row is a line of numbers.
function line(column) {
  const input = made("textarea", {id: "field-0", rows: 3, spellcheck: false});
  input.dataset.column = column.name;
  input.setAttribute("aria-describedby", "hint-0");
  const words = `${column.width} numbers between commas or spaces`;
  return made("div", {className: "field wide"},
    made("label", {htmlFor: input.id}, "Row"), input,
    made("small", {id: "hint-0"}, words + (column.may_miss ? "; nan where there is none" : "")));
}

function build(model, rows) {
  const columns = model.inputs;
  at("fields").replaceChildren(...(model.signature.array
    ? [line(columns[0])]
    : columns.map((column, i) => field(column, i, rows))));
  at("example").replaceChildren(
    ...rows.map((_, i) => made("option", {value: i}, `example ${i + 1}`)));
  at("examples").hidden = rows.length === 0;
}

const controls = () => [...at("fields").querySelectorAll("[data-column]")];

function fill(model, row) {
  for (const input of controls()) {
    const given = model.signature.array ? row.join(", ") : row[input.dataset.column];
    input.value = given === null || given === undefined ? "" : String(given);
  }
}

function entered(model) {
  if (!model.signature.array) {
    return Object.fromEntries(controls().map((input) => [input.dataset.column, input.value]));
  }
  const words = controls()[0].value.trim().split(/\s*,\s*|\s+/);
  return words.map((word) => (["", "nan", "null"].includes(word.toLowerCase()) ? null : word));
}

// ---- the answer

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function bar(label, share, isLikeliest) {
  const filled = made("span", {className: "filled"});
  filled.style.width = percent(share).replace(" ", "");
  const mark = isLikeliest ? made("span", {className: "mark"}, " ◂ prediction") : "";
  const row = made("div", {className: isLikeliest ? "bar likeliest" : "bar"},
    made("dt", {}, label, mark), made("dd", {}, made("span", {className: "track"}, filled),
      made("span", {className: "share"}, percent(share))));
  return row;
}

function bars(answer) {
  const chosen = text(answer.prediction);
  const all = Object.entries(answer.probabilities ?? {}).sort(([, a], [, b]) => b - a);
  const likely = all.filter(([, share]) => share >= LEAST_SHARE).length;
  const shown = all.slice(0, Math.max(SURE_BARS, Math.min(likely, MOST_BARS)));
  const rows = shown.map(([label, share]) => bar(label, share, label === chosen));
  const rest = all.slice(shown.length);
  if (rest.length) {
    const label = rest.length === 1 ? rest[0][0] : `${rest.length} others`;
    rows.push(bar(label, rest.reduce((sum, [, share]) => sum + share, 0), false));
  }
  return rows;
}

function number(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(7))) : text(value);
}

function show(answer, milliseconds) {
  at("prediction").textContent = number(answer.prediction);
  at("prediction").title = text(answer.prediction);
  at("probabilities").replaceChildren(...bars(answer));
  at("time").textContent = `Answered in ${milliseconds.toFixed(1)} ms.`;
  at("answer").hidden = false;
}

function complain(error) {
  // There is one row here, so its number says nothing.
  const words = error.message.replace(/^Row 1 has /, "There is ").replace(/^Row 1 /, "The row ");
  at("problem").textContent = error instanceof BadRow ? words : `The model failed: ${error.message}`;
  at("problem").hidden = false;
  at("answer").hidden = true;
  const input = controls().find((one) => one.dataset.column === error.column);
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

let asked = 0;

async function answer(model) {
  const turn = ++asked;
  at("problem").hidden = true;
  for (const input of controls()) input.removeAttribute("aria-invalid");
  try {
    const row = entered(model);
    const began = performance.now();
    const [found] = await model.predict([row]);
    const took = performance.now() - began;
    if (turn === asked) show(found, took); // else something newer was asked meanwhile
  } catch (error) {
    if (turn === asked) complain(error);
  }
}

// ---- all of it

async function main() {
  const model = await Model.load(new URL("../", import.meta.url));
  const name = model.signature.model.replace("/", " version ");
  at("name").textContent = document.title = name;
  const {rows} = await model.example();
  build(model, rows);
  if (rows.length) fill(model, rows[0]);
  at("example").addEventListener("change", () => {
    fill(model, rows[at("example").value]);
    answer(model);
  });
  at("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    await answer(model);
    at("answer").scrollIntoView({block: "nearest"}); // on a narrow screen it is below the form
  });
  const difference = await model.check();
  at("main").hidden = false;
  if (rows.length) await answer(model);
  if (difference) tell(`It does not answer its example as the model did: ${difference}.`, "bad");
  else tell("It answers its example as the model did.", "good");
}

main().catch((error) => tell(`The model can't be run here: ${error.message}`, "bad"));
