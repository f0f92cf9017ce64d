/**
 * Calls between processes over a network that loses, delays, repeats and reorders. A caller that
 * waits for too long gives up; the server hears of that, or does not.
 */
import type { Loop } from "./loop.ts";
import type { Process } from "./process.ts";
import type { Weather } from "./weather.ts";

/** The call has no answer: whether it was done is not known. */
export class CallLost extends Error {}

/** What listens at an address, while something does. */
export interface Address<Service> {
  readonly name: string;
  readonly listening: { readonly process: Process; readonly service: Service } | undefined;
  /** Callers cannot reach it, though it runs. */
  isCutOff: boolean;
}

export interface Call<Service, Answer> {
  readonly from: Process;
  readonly to: Address<Service>;
  readonly name: string;
  readonly timeoutMs: number;
  /** False: no copy of it may arrive. */
  readonly repeatable?: boolean;
  readonly serve: (service: Service, abort: AbortSignal) => Promise<Answer>;
}

export class Network {
  readonly #loop: Loop;
  readonly #weather: Weather;
  /** Calls that a server has taken and that have not returned: name and moment. */
  readonly #serving = new Set<{ readonly what: string; readonly since: number }>();

  constructor(loop: Loop, weather: Weather) {
    this.#loop = loop;
    this.#weather = weather;
  }

  /** Rejects with what the service threw, or with CallLost. */
  call<Service, Answer>(call: Call<Service, Answer>): Promise<Answer> {
    const loop = this.#loop;
    const { from, timeoutMs } = call;
    const gone = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    let isOpen = true;
    const settle = (how: () => void) => {
      if (!isOpen) return;
      isOpen = false;
      cancelTimeout();
      cancelEnd();
      how();
    };
    const leave = () => {
      // A server learns at once that its caller is gone, or much later, or never.
      if (loop.chance.percent(80)) loop.in(this.#delay(), () => gone.abort());
    };
    const cancelEnd = from.onEnd(() => settle(leave));
    const cancelTimeout = from.clock.after(timeoutMs, () => {
      leave();
      settle(() => reject(new CallLost(`${call.name} took too long`)));
    });
    const fail = (error: unknown) => from.deliver(() => settle(() => reject(error)));
    const answered = (answer: Answer) => from.deliver(() => settle(() => resolve(answer)));
    const copies = call.repeatable !== false && this.#happens("duplicated") ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) this.#send(call, gone.signal, { answered, fail });
    return promise;
  }

  /** Calls that a server which lives has kept for longer than this. */
  unanswered(ms: number): readonly string[] {
    const old = [...this.#serving].filter(({ since }) => this.#loop.now - since > ms);
    return old.map(({ what }) => what);
  }

  #send<Service, Answer>(
    call: Call<Service, Answer>,
    abort: AbortSignal,
    caller: { answered: (answer: Answer) => void; fail: (error: unknown) => void },
  ): void {
    const loop = this.#loop;
    const { to, name } = call;
    if (to.isCutOff || this.#happens("lost")) return;
    const back = (deliver: () => void) => {
      if (!to.isCutOff && !this.#happens("lost")) loop.in(this.#delay(), deliver);
    };
    loop.in(this.#delay(), () => {
      const { listening } = to;
      const refuse = () => caller.fail(new CallLost(`${to.name} is not there`));
      if (to.isCutOff) return;
      if (listening === undefined) return back(refuse);
      const { process, service } = listening;
      const serving = { what: `${name} at ${process.name}`, since: loop.now };
      this.#serving.add(serving);
      const cancelRefusal = process.onEnd(() => {
        this.#serving.delete(serving);
        back(refuse);
      });
      const end = () => {
        this.#serving.delete(serving);
        cancelRefusal();
      };
      process.deliver(() => {
        call.serve(service, abort).then(
          (answer) => {
            end();
            if (!process.hasEnded) back(() => caller.answered(answer));
          },
          (error) => {
            end();
            loop.note(`${name} at ${process.name} is refused: ${(error as Error).message}`);
            if (!process.hasEnded) back(() => caller.fail(error));
          },
        );
      });
    });
  }

  #happens(what: "lost" | "duplicated" | "slow"): boolean {
    return this.#loop.chance.percent(this.#weather.rates[what]);
  }

  #delay(): number {
    const { chance } = this.#loop;
    return this.#happens("slow") ? 500 + chance.below(12_000) : 1 + chance.below(8);
  }
}
