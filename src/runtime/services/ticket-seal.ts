/**
 * Tickets: the id of a task, and the name of its action, under a seal that only servers of this
 * store can make. A ticket is as good as the task itself, for this one attempt; it is stored
 * nowhere. The key of the seal is in the store.
 */
import { timingSafeEqual } from "node:crypto";
import type { Ids } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import type { Store } from "../../store/store.ts";
import { StoreSecret } from "../shared/store-secret.ts";
import type { TicketSubject } from "../shared/tickets.ts";

/** 128 bits. */
const sealBytes = 16;
/** Neither part holds it. */
const separator = "\n";

export class TicketSeal {
  readonly #secret: StoreSecret;

  constructor(options: { readonly store: Store; readonly ids: Ids }) {
    this.#secret = new StoreSecret({ ...options, id: "tickets" });
  }

  async make({ taskId, action }: TicketSubject): Promise<string> {
    const text = `${action}${separator}${taskId}`;
    const seal = await this.#sealOf(text);
    return `${Buffer.from(text).toString("base64url")}.${seal.toString("base64url")}`;
  }

  /** Throws INVALID_ARGUMENT for what no server of this store has made. */
  async read(ticket: string): Promise<TicketSubject> {
    const [head = "", sent = ""] = ticket.split(".");
    const text = Buffer.from(head, "base64url").toString();
    const seal = await this.#sealOf(text);
    const given = Buffer.from(sent, "base64url");
    const isOurs = given.length === seal.length && timingSafeEqual(given, seal);
    if (!isOurs) throw new OrchyError("INVALID_ARGUMENT", "The ticket is invalid.", [notOurs]);
    const at = text.indexOf(separator);
    return { action: text.slice(0, at), taskId: text.slice(at + 1) };
  }

  async #sealOf(text: string): Promise<Buffer> {
    return (await this.#secret.sign(text)).subarray(0, sealBytes);
  }
}

const notOurs = {
  pointer: "/ticket",
  message: "No server of this store has made it. Pass the ticket of a message unchanged.",
};
