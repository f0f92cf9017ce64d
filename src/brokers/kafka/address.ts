/**
 * The address of a Kafka cluster, as an operator writes it:
 * host:port[,host:port…][?tls=true&ca=file&cert=file&key=file&sasl=mechanism&user=name&password=reference]
 */
import { defined } from "../../base/defined.ts";
import { isSecretReference } from "../secret.ts";

const mechanisms = {
  plain: "PLAIN",
  "scram-sha-256": "SCRAM-SHA-256",
  "scram-sha-512": "SCRAM-SHA-512",
} as const;
type MechanismName = keyof typeof mechanisms;

export interface KafkaAddress {
  /** host:port of those that are asked first. */
  readonly brokers: readonly string[];
  /** Files in PEM form; absent: without TLS. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly sasl?: {
    readonly mechanism: (typeof mechanisms)[MechanismName];
    readonly user: string;
    /** A reference of secret.ts. */
    readonly password: string;
  };
  /** Parameters that are none of the cluster's. */
  readonly rest: ReadonlyMap<string, string>;
}

const brokerPattern = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([1-9]\d{0,4})$/;
export const topicPattern = /^(?!\.{1,2}$)[\w.-]{1,249}$/;

type Parsed = { readonly value: KafkaAddress } | { readonly problem: string };

/** `more`: names of parameters that belong to the caller. */
export function parseKafkaAddress(text: string, more: readonly string[] = []): Parsed {
  const [, list = "", query = ""] = /^(?:\/\/)?([^?]*)(?:\?(.*))?$/s.exec(text) ?? [];
  const brokers = list.replace(/\/$/, "").split(",");
  const isBroker = (one: string) => Number(brokerPattern.exec(one)?.[1] ?? 65_536) < 65_536;
  if (!brokers.every(isBroker)) {
    return { problem: "must name brokers as host:port, with commas between them" };
  }
  const given = new Map(new URLSearchParams(query));
  const take = (name: string) => {
    const value = given.get(name);
    given.delete(name);
    return value;
  };
  const [wantsTls, ca, cert, key] = [take("tls"), take("ca"), take("cert"), take("key")];
  const [sasl, user, password] = [take("sasl"), take("user"), take("password")];
  const problem =
    problemOfTls({ wantsTls, ca, cert, key }) ??
    problemOfSasl({ sasl, user, password }) ??
    [...given.keys()]
      .filter((name) => !more.includes(name))
      .map((name) => `has no parameter "${name}"`)[0];
  if (problem !== undefined) return { problem };
  const tls = wantsTls === "true" ? defined({ ca, cert, key }) : undefined;
  const mechanism = mechanisms[sasl as MechanismName];
  const login = sasl === undefined ? undefined : { mechanism, user: user!, password: password! };
  return { value: { brokers, ...defined({ tls, sasl: login }), rest: given } };
}

type Texts<Name extends string> = { readonly [name in Name]: string | undefined };

function problemOfTls({ wantsTls, ca, cert, key }: Texts<"wantsTls" | "ca" | "cert" | "key">) {
  if (wantsTls !== undefined && !["true", "false"].includes(wantsTls)) {
    return "wants tls=true or tls=false";
  }
  if (wantsTls !== "true" && (ca ?? cert ?? key) !== undefined) {
    return "has ca, cert or key without tls=true";
  }
  if ((cert === undefined) !== (key === undefined)) return "needs both cert and key, or neither";
  return undefined;
}

function problemOfSasl({ sasl, user, password }: Texts<"sasl" | "user" | "password">) {
  if (sasl === undefined) {
    return (user ?? password) === undefined ? undefined : "has user or password without sasl";
  }
  if (!Object.hasOwn(mechanisms, sasl)) {
    return `wants sasl to be one of ${Object.keys(mechanisms).join(", ")}`;
  }
  if (!user || !password) return "needs user and password with sasl";
  if (!isSecretReference(password)) {
    return "wants password as a reference, env:NAME or file:PATH, so that no secret is in an address";
  }
  return undefined;
}
