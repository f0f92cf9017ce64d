/**
 * What surrounds a script inside QuickJS: builds `$`, gathers the output, words an exception.
 * It runs in the script's own world, so it keeps every function that it needs from before the
 * script ran, and looks nothing up on prototypes that the script may have changed.
 */

/** Thrown values come out as JSON `{name, message, stack, code?}`; this name marks our own refusals. */
export const refusalName = "Refusal";

/** A refusal with this message says that the output is too long to be carried. */
export const outputTooLarge = "output-too-large";

/** Returns `{seed, define, collect, decide, describe}`, good for one evaluation. */
export const prelude = `((outputCharsMax, codeCharsMax) => {
  "use strict";
  const world = globalThis;
  const { parse, stringify } = JSON;
  const { create, defineProperty, getPrototypeOf, keys: namesOf, prototype: plain } = Object;
  const { getOwnPropertyDescriptor: propertyOf } = Object;
  const { apply } = Reflect;
  const { slice } = String.prototype;
  const PromiseKind = Promise;
  const asText = String;

  // The generator sfc32. Every world begins in the same state, so chance has to be brought in.
  const seed = (a, b, c, d) => {
    const next = () => {
      const sum = (((a + b) | 0) + d) | 0;
      d = (d + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + sum) | 0;
      return sum >>> 0;
    };
    const random = () => ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
    defineProperty(Math, "random", { __proto__: null, value: random });
  };

  const data = (value) =>
    ({ __proto__: null, value, writable: true, enumerable: true, configurable: true });
  const root = {};
  const given = create(null);
  defineProperty(world, "$", { __proto__: null, value: root, writable: true });

  // A member is parsed when it is touched, and is a plain property from then on, which is read in
  // half the time. That of an action stays an accessor until it is assigned: so what the
  // script has set is told from what it has only changed inside.
  const define = (name, text, isAction) => {
    let value;
    const get = () => {
      if (text !== undefined) {
        value = parse(text);
        text = undefined;
        if (!isAction) try { defineProperty(root, name, data(value)); } catch {}
      }
      return value;
    };
    const set = function (changed) { defineProperty(this, name, data(changed)); };
    given[name] = { __proto__: null, get, isAction };
    defineProperty(root, name, { __proto__: null, get, set, enumerable: true, configurable: true });
  };
  // Outputs of actions are given until they are assigned, or copied into another object that takes
  // the place of \`$\`; the other members always are.
  const isGiven = (dollar, name) => {
    const member = given[name];
    if (member === undefined || !member.isAction) return member !== undefined;
    if (dollar !== root) return dollar[name] === member.get();
    return propertyOf(root, name).get === member.get;
  };

  const refuse = (message) => ({ __proto__: null, name: "${refusalName}", message, stack: "" });
  const show = (name) => (name.length > 100 ? apply(slice, name, [0, 100]) + "..." : name);
  // What JSON cannot carry; undefined for what it can.
  const uncarried = (value) => {
    const type = typeof value;
    if (type === "function") return "a function";
    if (type === "symbol") return "a symbol";
    if (type === "bigint") return "a BigInt";
    if (type === "object" && value instanceof PromiseKind) return "a promise";
    return undefined;
  };
  const check = (name, value) => {
    const what = uncarried(value);
    if (what === undefined) return value;
    throw refuse('The output holds ' + what + ' at "' + show(name) + '", which JSON cannot carry.');
  };
  const isPlain = (value) => {
    if (typeof value !== "object" || value === null) return false;
    const kind = getPrototypeOf(value);
    return kind === plain || kind === null;
  };

  // Returns the route as JSON text (or nothing), a line feed, and the output as JSON text.
  const collect = (completion) => {
    const dollar = world.$;
    if (typeof dollar !== "object" || dollar === null) {
      throw refuse("\`$\` is no longer an object.");
    }
    const output = create(null);
    let route;
    let left = 0;
    const names = namesOf(dollar);
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index];
      if (isGiven(dollar, name)) continue;
      const value = dollar[name];
      if (value === undefined) continue;
      if (name === "route" && typeof value === "string") {
        route = value;
        continue;
      }
      output[name] = value;
      left += 1;
    }
    // The value of \`$.route = "x"\` as the last statement is the route, and that of \`$\` is what
    // the script was given: neither is an output.
    const isDollar = completion === dollar || completion === root;
    const isRoute = route !== undefined && completion === route;
    if (left === 0 && completion !== undefined && !isDollar && !isRoute) {
      if (isPlain(completion)) {
        const own = namesOf(completion);
        for (let index = 0; index < own.length; index += 1) {
          output[own[index]] = completion[own[index]];
        }
      } else {
        output.result = completion;
      }
    }
    let text;
    try {
      text = stringify(output, check);
    } catch (thrown) {
      const cycle = thrown !== null && typeof thrown === "object"
        && thrown.message === "circular reference";
      if (!cycle) throw thrown;
      throw refuse("The output refers to itself (a cycle), which JSON cannot carry.");
    }
    if (text.length > outputCharsMax) throw refuse("${outputTooLarge}");
    return (route === undefined ? "" : stringify(route)) + "\\n" + text;
  };

  // The condition of a loop. A function or a promise would hold for ever.
  const decide = (completion) => {
    const what = uncarried(completion);
    if (what !== undefined) throw refuse("The value of the condition is " + what + ".");
    return completion ? "\\ntrue" : "\\nfalse";
  };

  const cut = (value) => apply(slice, value, [0, 4000]);
  // Of a thrown \`{code, message}\`: the script's own failure.
  const codeOf = (thrown) => {
    if (typeof thrown !== "object" || thrown === null) return undefined;
    const { code, message } = thrown;
    if (typeof code !== "string" || typeof message !== "string") return undefined;
    return code.length > 0 && code.length <= codeCharsMax ? code : undefined;
  };
  const describe = (thrown) => {
    let name = "";
    let message = "";
    let stack = "";
    let code;
    try {
      code = codeOf(thrown);
      if (typeof thrown === "object" && thrown !== null && typeof thrown.message === "string") {
        message = cut(thrown.message);
        if (typeof thrown.name === "string") name = cut(thrown.name);
        if (typeof thrown.stack === "string") stack = cut(thrown.stack);
      } else if (isPlain(thrown)) {
        message = cut(stringify(thrown));
      } else {
        message = cut(asText(thrown));
      }
    } catch {
      message = "a value that cannot be shown";
    }
    return stringify({ __proto__: null, name, message, stack, code });
  };
  return { __proto__: null, seed, define, collect, decide, describe };
})`;
