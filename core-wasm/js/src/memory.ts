/** What an agent remembers: the same values in the same namespaces as the Python package has. */

import { checkText, filterOf, vectorOf } from "./arguments.js";
import type { Database, Filter, Vector, VersionLike } from "./database.js";
import { ValidationError } from "./errors.js";
import { Op } from "./protocol.js";
import { type Time, toMicroseconds } from "./times.js";
import { hex, hitsWithParts, Version } from "./versions.js";

const MAX_QUESTION_LENGTH = 1024;
const MAX_AGENT_ID_BYTES = 900;
const WEEK_SECONDS = 7 * 24 * 3600;
const FLUSH_AT = 256;

/** A function from texts to as many vectors. */
export type Embedder = (texts: string[]) => Promise<readonly Vector[]> | readonly Vector[];
/** Kinds of memories. */
export type MemoryType = "episode" | "fact" | "procedure";

export interface AgentMemoryOptions {
  /** Finds memories by meaning as well; by their words alone if it is left out. */
  embedder?: Embedder;
  /** Name under which its vectors are kept. */
  model?: string;
  /** Seconds after which recency has halved: seven days unless given. */
  halfLife?: number;
  /** How much relevance, recency and importance count: 1, 0.3 and 0.3 unless given. */
  weights?: readonly [relevance: number, recency: number, importance: number];
  /** How much of the relevance is nearness of vectors, from 0 to 1: 0.6 unless given. */
  vectorShare?: number;
  /** From which cosine on a memory fits a question of which it has no word: 0.3 unless given. */
  minCosine?: number;
}

export interface RememberOptions {
  /** From 0 to 1. */
  importance?: number;
  tags?: readonly string[];
  metadata?: Readonly<Record<string, unknown>>;
  /** Ids of memories, or versions, that it comes from. */
  causedBy?: VersionLike | readonly VersionLike[];
}

export interface RecallOptions {
  /** At most so many: 10 unless given. */
  limit?: number;
  minRelevance?: number;
  memoryType?: MemoryType;
  /** Only memories that have all of these. */
  tags?: readonly string[];
  /** Only memories whose metadata match this filter. */
  metadata?: Filter;
  /** What the agent knew at this time. It counts as no access. */
  at?: Time;
}

/** A memory that was recalled, and why. */
export interface MemoryRecall {
  readonly id: string;
  readonly content: string;
  readonly memoryType: MemoryType;
  readonly importance: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** How often it was recalled, this time included. */
  readonly accessCount: number;
  readonly lastAccessed: Date | null;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, any>>;
  readonly versionId: string;
  /** Of a fact its key, of a procedure its name; else null. */
  readonly name: string | null;
  readonly steps: readonly string[];
  readonly successRate: number | null;
  readonly relevance: number;
  readonly recency: number;
  readonly score: number;
}

interface Access {
  count: number;
  last: number;
}

/** What one agent remembers. `Database.agentMemory` makes one. */
export class AgentMemory {
  /** Where its memories are. */
  readonly namespace: string;
  readonly #db: Database;
  readonly #accesses: string;
  readonly #options: AgentMemoryOptions;
  readonly #unwritten = new Map<string, Access>();

  /** @internal */
  constructor(db: Database, agentId: string, options: AgentMemoryOptions = {}) {
    const size = new TextEncoder().encode(checkText("the agent's id", agentId)).length;
    if (agentId.trim() === "" || size > MAX_AGENT_ID_BYTES || agentId.includes("\0")) {
      throw new ValidationError(
        "the agent's id is empty, too long, or contains NUL", `give 1 to ${MAX_AGENT_ID_BYTES} bytes of UTF-8`,
      );
    }
    this.#db = db;
    this.namespace = `memory/${agentId}`;
    this.#accesses = `memory-accesses/${agentId}`;
    this.#options = options;
  }

  /** Remember something that happened; its id. */
  async remember(content: string, options: RememberOptions = {}): Promise<string> {
    const id = `episode/${hex(crypto.getRandomValues(new Uint8Array(8)))}`;
    return this.#write(id, episode(content, options, 0.5), options);
  }

  /** Learn a fact, or learn it anew: a new version under the same key; its id. */
  async learn(key: string, content: string, options: RememberOptions = {}): Promise<string> {
    const value = episode(content, options, 0.9);
    const fact = { ...value, type: "fact", content: `${checkContent("the key", key)}: ${content}`, name: key };
    return this.#write(`fact/${key}`, fact, options);
  }

  /** Learn how to do something, or learn it anew; its id. */
  async learnProcedure(
    name: string, steps: readonly string[], options: RememberOptions & { successRate?: number } = {},
  ): Promise<string> {
    if (steps.length === 0) throw new ValidationError("there are no steps", "give at least one");
    steps.forEach((step, index) => checkContent(`steps[${index}]`, step));
    const rate = options.successRate === undefined ? null : checkShare("successRate", options.successRate);
    const value = episode([checkContent("the name", name), ...steps].join("\n"), options, 0.7);
    const procedure = {
      ...value, type: "procedure", name, steps, success_rate: rate, outcomes: rate === null ? 0 : 1,
    };
    return this.#write(`procedure/${name}`, procedure, options);
  }

  /** The memories that fit a question best, best first: those that have a word of it or, with an
   * embedder, a meaning near to it. They are ranked by relevance, lowered for what is old and
   * unimportant. */
  async recall(question: string, options: RecallOptions = {}): Promise<MemoryRecall[]> {
    const { limit = 10, minRelevance = 0 } = options;
    const text = checkText("the question", question).replace(/["+\-*]/g, " ").slice(0, MAX_QUESTION_LENGTH);
    const at = options.at === undefined ? undefined : toMicroseconds(options.at);
    const vector = text.trim() === "" ? undefined : await this.#vector(question);
    const control = JSON.stringify({
      text, limit, min_relevance: checkShare("minRelevance", minRelevance), now: at ?? Date.now() * 1000,
      model: vector === undefined ? null : (this.#options.model ?? ""), ...this.#ranking(),
    });
    const request = { namespace: this.namespace, control, payload: recallFilter(options), at };
    const asked = vector === undefined ? request : { ...request, vector };
    const { hits, parts } = this.#db.session.read(Op.recall, asked, hitsWithParts);
    const accesses = await this.#count(hits.map((hit) => hit.version.key), options.at);
    return hits.map((hit, index) => recalled(hit.version, hit.score, parts[index], accesses[index] as Access));
  }

  /** Forget a memory; false if there was none. Its history stays, and recalls of the past find it. */
  async forget(id: string): Promise<boolean> {
    return this.#db.delete(this.namespace, id);
  }

  /** The versions of a memory, oldest first. */
  async history(id: string): Promise<Version[]> {
    return this.#db.history(this.namespace, id);
  }

  /** Write the counts of accesses. Until then they are in this object alone. */
  async flush(): Promise<void> {
    const counted = [...this.#unwritten];
    this.#unwritten.clear();
    await this.#db.putBatch(counted.map(([id, access]) => [this.#accesses, id, access]));
  }

  async #write(id: string, value: Record<string, unknown>, { causedBy = [] }: RememberOptions): Promise<string> {
    const causes = Array.isArray(causedBy) ? causedBy : [causedBy];
    const versions = await Promise.all(causes.map((cause: VersionLike) => this.#cause(cause)));
    const embedding = await this.#vector(value["content"] as string);
    const vector = embedding === undefined ? {} : { embedding, model: this.#options.model ?? "" };
    await this.#db.put(this.namespace, id, value, { causedBy: versions, ...vector });
    return id;
  }

  /** A memory's id stands for its newest version that is no deletion. */
  async #cause(cause: VersionLike): Promise<VersionLike> {
    if (cause instanceof Version || !cause.includes("/")) return cause;
    const newest = (await this.history(cause)).findLast((version) => !version.deleted);
    if (newest !== undefined) return newest;
    throw new ValidationError(`causedBy names a memory that never was: ${cause}`, "give what remember returned");
  }

  async #vector(text: string): Promise<Float32Array | undefined> {
    const found = await this.#options.embedder?.([text]);
    return found === undefined ? undefined : vectorOf(found[0], "what the embedder returned");
  }

  #ranking() {
    const { halfLife = WEEK_SECONDS, weights = [1, 0.3, 0.3], vectorShare = 0.6, minCosine = 0.3 } = this.#options;
    if (!(halfLife > 0)) throw new ValidationError(`halfLife is ${halfLife}`, "give a number of seconds");
    return {
      half_life: halfLife, weights,
      vector_share: checkShare("vectorShare", vectorShare), min_cosine: checkShare("minCosine", minCosine),
    };
  }

  async #count(ids: string[], at: Time | undefined): Promise<Access[]> {
    const stored = await this.#db.getMany(this.#accesses, ids, at === undefined ? {} : { at });
    const before = (id: string): Access => stored.get(id) ?? { count: 0, last: 0 };
    if (at !== undefined) return ids.map(before);
    const last = Date.now() * 1000;
    const counted = ids.map((id) => {
      const access = { count: (this.#unwritten.get(id) ?? before(id)).count + 1, last };
      this.#unwritten.set(id, access);
      return access;
    });
    if (this.#unwritten.size >= FLUSH_AT) await this.flush();
    return counted;
  }
}

function episode(content: string, options: RememberOptions, importance: number) {
  return {
    type: "episode",
    content: checkContent("the content", content),
    importance: checkShare("importance", options.importance ?? importance),
    tags: [...new Set(options.tags ?? [])],
    metadata: options.metadata ?? {},
  };
}

function checkContent(what: string, text: string): string {
  if (checkText(what, text).trim() === "") throw new ValidationError(`${what} is empty`, "give text");
  return text;
}

function checkShare(what: string, share: number): number {
  if (share >= 0 && share <= 1) return share;
  throw new ValidationError(`${what} is ${share}; it must be 0 to 1`, "give a number from 0 to 1");
}

function recallFilter({ memoryType, tags = [], metadata }: RecallOptions): string {
  const parts: Filter[] = tags.map((tag) => ({ tags: tag }));
  if (memoryType !== undefined) parts.unshift({ type: memoryType });
  if (metadata !== undefined) parts.push(ofMetadata(metadata));
  return parts.length === 0 ? "" : filterOf({ $and: parts });
}

/** A filter on metadata as one on values. */
function ofMetadata(where: Filter): Filter {
  return Object.fromEntries(
    Object.entries(where).map(([name, operand]) => {
      if ((name === "$and" || name === "$or") && Array.isArray(operand)) return [name, operand.map(ofMetadata)];
      if (name === "$not") return [name, ofMetadata(operand as Filter)];
      return [name.startsWith("$") ? name : `metadata.${name}`, operand];
    }),
  );
}

function recalled(version: Version, score: number, part: number[], access: Access): MemoryRecall {
  const { value, key: id, versionId, timestamp: updatedAt } = version;
  const [relevance = 0, recency = 0, , createdUs = 0] = part;
  const name: string | null = value.name ?? null;
  return {
    id,
    content: value.type === "fact" ? value.content.slice(value.name.length + 2) : value.content,
    memoryType: value.type,
    importance: value.importance,
    createdAt: new Date(Math.floor(createdUs / 1000)),
    updatedAt,
    accessCount: access.count,
    lastAccessed: access.count > 0 ? new Date(Math.floor(access.last / 1000)) : null,
    tags: value.tags,
    metadata: value.metadata,
    versionId,
    name,
    steps: value.steps ?? [],
    successRate: value.success_rate ?? null,
    relevance,
    recency,
    score,
  };
}
