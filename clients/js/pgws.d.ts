/** The client of pgws. It speaks pgws.v1, which docs/protocol.md in pgws's repository specifies. */

/**
 * Connects to a server, and stays connected until it is closed.
 *
 * @param url The server's root: ws, wss, http or https, or relative to the page. No token stands in it.
 * @throws TypeError when the URL or an option cannot be used.
 */
export function connect(url: string | URL, options?: Options): Client;

export interface Options {
  /**
   * Returns a token, within 10 seconds. It is called for each connection, and again before a token expires, every 5
   * seconds until it has another one. Without it the server is to take the token from a cookie.
   */
  token?: () => string | Promise<string>;
  /** "auto", the default, is a websocket, and SSE with POST where websockets are blocked. */
  transport?: "auto" | Transport;
  /** false: what this client publishes does not come back to it; over SSE it does all the same. */
  echo?: boolean;
  /** Is told when the state changes, and why a connection ended. */
  onstate?: (state: State, why: Why) => void;
  /** Is told of each channel of which messages may have been missed. */
  ongap?: (gap: Gap) => void;
  /** Is told of each channel that goes on after a new connection with nothing missed. */
  onresume?: (channel: { channel: string }) => void;
  /** Parses each frame; JSON.parse by default, which rounds numbers above 2^53. */
  parse?: (text: string) => any;
  /** Is told what token() has thrown, and of a token or channel that is refused by a PgwsError. Default: console.error. */
  onerror?: (error: unknown) => void;
  /** The class of websockets, if it is not the global one. */
  WebSocket?: new (url: string, protocol: string) => any;
}

export interface Client {
  readonly state: State;
  /** What carries the present connection; undefined while there is none. */
  readonly transport: Transport | undefined;
  /**
   * Calls handler for each message of a channel from now on; over SSE, where other channels have yet to catch up, from
   * where these are. Several subscriptions to a channel share one at the server.
   */
  subscribe(channel: string, handler: (message: Message) => void, options?: SubscribeOptions): Subscription;
  /**
   * Sends a message, a string or any JSON value, as it is now, and returns when PostgreSQL has committed it. The message
   * itself may come before or after. While there is no connection it waits for one, for 30 seconds at most. It is sent
   * once: with the code "uncertain" the caller decides whether to send it again. The promise rejects with a PgwsError, or a
   * TypeError for what is no JSON.
   */
  publish(channel: string, payload: unknown): Promise<Receipt>;
  /** Ends the connection and all subscriptions, for good. */
  close(): void;
}

export interface SubscribeOptions {
  /** Is told when messages of this channel may have been missed. */
  ongap?: (gap: Gap) => void;
}

export interface Subscription {
  readonly channel: string;
  /** Resolves when the channel is open for the first time, rejects when the server refuses it or the client is closed. */
  readonly ready: Promise<void>;
  /** Ends the calls of this handler. */
  unsubscribe(): void;
}

export interface Message {
  channel: string;
  /** Where the message stands in the order of all. To be compared for equality alone. */
  position: string;
  /** The notification's payload: `{event, channel, payload, claims}` from a client, from others whatever they notified. */
  payload: any;
  /** What a client sent, as it was sent; of other notifications the payload. */
  data: any;
}

export interface Receipt {
  /** When PostgreSQL was given the message, in seconds since 1970: the message's `payload.claims.message_delivered_at`. */
  deliveredAt: number;
}

export interface Gap {
  channel: string;
}

/** "waiting": for the time of the next attempt. "closed": by close(), or because another attempt would be refused too. */
export type State = "connecting" | "open" | "waiting" | "closed";

export type Transport = "websocket" | "sse";

export interface Why {
  /** The close code of the connection that ended; 1006 when it broke. */
  code?: number;
  /** The reason, for people. */
  reason?: string;
  /** Milliseconds until the next attempt, in the state "waiting". */
  delay?: number;
}

export class PgwsError extends Error {
  constructor(code: Code, message: string, channel?: string);
  readonly code: Code;
  /** The channel that it is about, if it is about one. */
  readonly channel?: string;
}

/**
 * The first seven are the server's. "timeout": no connection came in time; nothing was sent. "closed": the client was closed
 * before; nothing was sent. "uncertain": the message was sent and no answer came; it may have arrived.
 */
export type Code =
  | "bad_request" | "unauthorized" | "forbidden" | "too_large" | "rate_limited" | "unavailable" | "internal"
  | "timeout" | "closed" | "uncertain";
