# Built from a checkout: docker build -t gatehouse .
FROM node:20-bookworm-slim AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json .npmrc ./
COPY scripts/setup.mjs scripts/
RUN node scripts/setup.mjs
COPY . .
# The same places as in the Debian package, and the same way to start: no shell in between.
RUN node_modules/.bin/node scripts/build.ts \
 && install -D node_modules/node-linux-*/bin/node /image/usr/lib/gatehouse/bin/node \
 && install -D scripts/package/files/gatehouse /image/usr/bin/gatehouse \
 && install -D -m 0644 -t /image/usr/lib/gatehouse/dist dist/*.mjs \
 && install -m 0644 -t /image/usr/lib/gatehouse scripts/package/files/warm-code-cache.mjs \
 && install -D -m 0644 -t /image/usr/share/doc/gatehouse LICENSE \
 && node_modules/.bin/node scripts/package/notices.ts > /image/usr/share/doc/gatehouse/THIRD-PARTY-NOTICES

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libatomic1 libstdc++6 tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 gatehouse \
 && useradd --uid 10001 --gid gatehouse --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gatehouse \
 && install -d -o gatehouse -g gatehouse -m 0755 /run/gatehouse \
 && install -d -o gatehouse -g gatehouse -m 0700 /var/lib/gatehouse /var/cache/gatehouse
COPY --from=build /image/ /
ENV GATEHOUSE_STATE_DIRECTORY=/var/lib/gatehouse \
    GATEHOUSE_RUNTIME_DIRECTORY=/run/gatehouse
USER 10001:10001
# By the user, and with the flags, that the agent has: a container has no start before its first.
RUN ["/usr/lib/gatehouse/bin/node", "--disable-sigusr1", "--min-semi-space-size=2", "--max-semi-space-size=2", \
     "/usr/lib/gatehouse/warm-code-cache.mjs"]
# Alive, started and not wedged. Degraded is healthy: what degrades, an orchestrator's restart does not mend.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["gatehouse", "status", "--check", "ready"]
# Node waits only for its own children; tini reaps the rest. With `exec -- COMMAND` it runs a workload: docs/exec.md.
ENTRYPOINT ["tini", "--", "gatehouse"]
CMD ["run"]
