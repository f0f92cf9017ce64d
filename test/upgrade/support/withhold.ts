/**
 * Loaded before a server that makes a fixture: keeps what would not stay in the store by itself.
 * Messages that speak of "held" are not delivered, acknowledgements of those that speak of
 * "unheard" are lost, and tombstones stand for as long as the fixture is kept.
 */
export {};

const folder = process.env.ORCHY_FIXTURE_FOLDER;
const { SqliteStore } = await import(`${folder}/src/store/sqlite/sqlite-store.ts`);
const { RedisStore } = await import(`${folder}/src/store/redis/redis-store.ts`);

const endOfTombstones = Date.UTC(2100, 0);

interface Message {
  readonly id: string;
  readonly key: { readonly id: string };
  readonly body: string;
}

for (const { prototype } of [SqliteStore, RedisStore]) {
  const { claimOutbox, ackOutbox, remove } = prototype;
  const unheard = new Set<string>();
  prototype.claimOutbox = async function (request: object) {
    const claimed = await claimOutbox.call(this, request);
    for (const { key, body } of claimed.messages as Message[]) {
      if (body.includes('"unheard')) unheard.add(key.id);
    }
    const isHeld = ({ body }: Message) => body.includes('"held');
    return { ...claimed, messages: claimed.messages.filter((one: Message) => !isHeld(one)) };
  };
  prototype.ackOutbox = async function (request: { readonly messages: readonly Message[] }) {
    const messages = request.messages.filter(({ key }) => !unheard.has(key.id));
    return ackOutbox.call(this, { ...request, messages });
  };
  prototype.remove = function (request: object) {
    return remove.call(this, { ...request, tombstoneUntil: endOfTombstones });
  };
}
