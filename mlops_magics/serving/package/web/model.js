// The model of this bundle in a browser: what run.py is to Python, and with the same answers.

import * as ort from "./vendor/ort.js";

// How far an answer may be from the kept one, relative to its size (at least 1).
const TOLERANCE = 1e-5;
const NO_NUMBER = new Set(["", "na", "nan", "null", "none"]);
const TRUTH = new Map([["true", 1], ["false", 0], ["1", 1], ["0", 0], ["1.0", 1], ["0.0", 0]]);
const WANTED = {boolean: "true or false", long: "a whole number", integer: "a whole number"};
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const INFINITE = /^([+-]?)inf(inity)?$/i;

// Rows that the model can't be given; says which and why, and of which column.
export class BadRow extends Error {
  constructor(message, column = null) {
    super(message);
    this.column = column;
  }
}

export class Model {
  // The model of the folder at `base`, for example new URL("../", import.meta.url).
  static async load(base) {
    const folder = new URL(base);
    // One thread: several need headers that a plain file server does not send.
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = {wasm: new URL("vendor/ort.wasm", import.meta.url).href};
    const [signature, graph] = await Promise.all([
      json(new URL("signature.json", folder)),
      got(new URL("model.onnx", folder)).then((response) => response.arrayBuffer()),
    ]);
    const session = await ort.InferenceSession.create(graph, {executionProviders: ["wasm"]});
    return new Model(folder, signature, session);
  }

  constructor(folder, signature, session) {
    this.folder = folder;
    this.signature = signature;
    this.inputs = signature.inputs;
    this.session = session;
  }

  // One answer a row: {prediction}, and {probabilities} of a classifier. A row is an object of
  // values by column; for a model of arrays a list of numbers.
  async predict(rows) {
    if (!rows.length) return [];
    const names = this.signature.outputs;
    const found = await this.session.run(this.tensors(rows), names);
    const predictions = Array.from(found[names[0]].data, plain);
    const chances = found.probabilities?.data;
    if (!chances) return predictions.map((prediction) => ({prediction}));
    const labels = this.signature.classes.map(text);
    return predictions.map((prediction, at) => {
      const own = Array.from(chances.slice(at * labels.length, (at + 1) * labels.length));
      return {prediction, probabilities: Object.fromEntries(labels.map((l, i) => [l, own[i]]))};
    });
  }

  // The kept example, and the model's own answers to it.
  async example() {
    const files = ["input_example.json", "expected_answers.json"];
    const [rows, answers] = await Promise.all(files.map((f) => json(new URL(f, this.folder))));
    return {rows, answers};
  }

  // How the answers to the kept example differ from the model's; empty if they do not.
  async check() {
    const {rows, answers} = await this.example();
    const found = await this.predict(rows);
    if (found.length !== answers.length) {
      return `${found.length} answers instead of ${answers.length}`;
    }
    const at = answers.findIndex((answer, i) => differs(answer, found[i]));
    const shownAs = (i) => `${JSON.stringify(found[i])} instead of ${JSON.stringify(answers[i])}`;
    return at < 0 ? "" : `row ${at + 1}: ${shownAs(at)}`;
  }

  tensors(rows) {
    if (this.signature.array) return {[this.inputs[0].name]: array(rows, this.inputs[0])};
    const found = {};
    for (const column of this.inputs) {
      const values = rows.map((row, i) => value(of(row, column, i + 1), column, i + 1));
      const shape = [rows.length, 1];
      found[column.name] =
        column.type === "string"
          ? new ort.Tensor("string", values, shape)
          : new ort.Tensor("float64", Float64Array.from(values), shape);
    }
    return found;
  }
}

function of(row, column, at) {
  const name = column.name;
  if (row === null || typeof row !== "object" || Array.isArray(row)) {
    throw new BadRow(`Row ${at} must be an object of values by column, not ${shown(row)}.`);
  }
  if (Object.hasOwn(row, name)) return row[name];
  if (!column.required) return null;
  throw new BadRow(`Row ${at} lacks the column ${shown(name)}.`, name);
}

// A value as the tensor has it: NaN for a missing number, empty text for missing text.
function value(given, column, at) {
  const {name, type} = column;
  const isText = type === "string";
  let missing = given === null || given === undefined || Number.isNaN(given);
  if (typeof given === "string") {
    missing = isText ? given === "" : NO_NUMBER.has(given.trim().toLowerCase());
  }
  if (missing) {
    if (column.may_miss) return isText ? "" : NaN;
    const words = `Row ${at} has no value in the column ${shown(name)}`;
    throw new BadRow(`${words}, and the model can't do without.`, name);
  }
  if (isText && typeof given === "string") return given;
  const number = isText ? null : numeric(given, type);
  if (number !== null) return number;
  const needs = isText ? "text" : (WANTED[type] ?? "a number");
  const words = `Row ${at} has ${shown(given)} in the column ${shown(name)}`;
  throw new BadRow(`${words}, which needs ${needs}.`, name);
}

function numeric(given, type) {
  if (type === "boolean") return TRUTH.get(String(given).trim().toLowerCase()) ?? null;
  const number = typeof given === "number" ? given : parsed(given);
  if (number === null || !["long", "integer"].includes(type)) return number;
  return Number.isInteger(number) ? number : null;
}

// A number as Python reads it; Number("") and Number("0x10") are none to it.
function parsed(given) {
  if (typeof given !== "string") return null;
  const word = given.trim();
  const infinite = INFINITE.exec(word);
  if (infinite) return infinite[1] === "-" ? -Infinity : Infinity;
  return NUMBER.test(word) ? Number(word) : null;
}

function array(rows, wanted) {
  const {width} = wanted;
  const flat = rows.flatMap((row, i) => {
    if (!Array.isArray(row) || row.length !== width) {
      throw new BadRow(`Row ${i + 1} must be a list of ${width} numbers.`, wanted.name);
    }
    return row.map((given) => element(given, wanted, i + 1));
  });
  return new ort.Tensor("float64", Float64Array.from(flat), [rows.length, width]);
}

function element(given, wanted, at) {
  const missing = given === null || Number.isNaN(given);
  if (missing && !wanted.may_miss) {
    throw new BadRow(`Row ${at} lacks a number, and the model can't do without.`, wanted.name);
  }
  if (missing) return NaN;
  const number = numeric(given, "double");
  if (number !== null) return number;
  throw new BadRow(`Row ${at} has ${shown(given)}, which is no number.`, wanted.name);
}

// Whether two answers are not the same, numbers within the tolerance.
function differs(expected, found) {
  if (expected !== null && typeof expected === "object") {
    const keys = Object.keys(expected);
    if (keys.length !== Object.keys(found).length) return true;
    return keys.some((key) => !Object.hasOwn(found, key) || differs(expected[key], found[key]));
  }
  if (typeof expected !== "number") return expected !== found;
  return !(Math.abs(found - expected) <= TOLERANCE * Math.max(1, Math.abs(expected)));
}

// Whole numbers come as BigInt; JSON has but one kind of number.
function plain(given) {
  return typeof given === "bigint" ? Number(given) : given;
}

export function text(given) {
  return typeof given === "string" ? given : JSON.stringify(given);
}

function shown(given) {
  const words = JSON.stringify(given) ?? String(given);
  return words.length <= 60 ? words : `${words.slice(0, 59)}…`;
}

async function got(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} can't be read (${response.status}).`);
  return response;
}

async function json(url) {
  return (await got(url)).json();
}
