import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** What one server takes. */
export interface HttpLimits {
  /** Beyond it a new connection is closed at once. */
  readonly connectionsMax: number;
  /** Header bytes of one request; beyond it the answer is 431. */
  readonly headerBytesMax: number;
  /** From the first byte to the last of one request's headers, and of all of it; beyond it the answer is 408. */
  readonly headersWithinMs: number;
  readonly requestWithinMs: number;
  /** How long a connection may be idle between two requests. */
  readonly idleMs: number;
  /** How often those times are looked at. */
  readonly lookEveryMs: number;
}

export interface HttpServer {
  /** To be told where to listen. */
  readonly http: Server;
  /** Stops listening and ends what is under way. */
  close(): Promise<void>;
}

/** An HTTP server that is bounded in everything and listens nowhere yet. `answer` ends the response and throws nothing. */
export function httpServer(
  limits: HttpLimits,
  answer: (request: IncomingMessage, response: ServerResponse, signal: AbortSignal) => Promise<void>,
): HttpServer {
  const stopping = new AbortController();
  const http = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersWithinMs,
      requestTimeout: limits.requestWithinMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: limits.lookEveryMs,
    },
    (request, response) => {
      void answer(request, response, stopping.signal);
    },
  );
  http.maxConnections = limits.connectionsMax;

  return {
    http,
    async close() {
      stopping.abort();
      const closed = new Promise<void>((resolve) => {
        http.close(() => resolve());
      });
      http.closeAllConnections();
      await closed;
    },
  };
}
