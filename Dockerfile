# Built from a checkout: docker build -t gatehouse .
FROM node:20-bookworm-slim AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json .npmrc ./
COPY scripts/setup.mjs scripts/
RUN node scripts/setup.mjs
COPY . .
RUN node_modules/.bin/node scripts/build.ts \
 && cp node_modules/node-linux-*/bin/node /node

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libatomic1 libstdc++6 tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 gatehouse \
 && useradd --uid 10001 --gid gatehouse --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gatehouse \
 && install -d -o gatehouse -g gatehouse -m 0755 /run/gatehouse \
 && install -d -o gatehouse -g gatehouse -m 0700 /var/lib/gatehouse /var/cache/gatehouse
COPY --from=build /node /usr/local/bin/node
COPY --from=build /src/dist/*.mjs /usr/lib/gatehouse/dist/
COPY LICENSE* README* /usr/lib/gatehouse/
# The program by its name, with the flags of systemd/gatehouse.service, which says what they are for.
RUN printf '#!/bin/sh\nunset NODE_OPTIONS\nexec /usr/local/bin/node --disable-sigusr1 --min-semi-space-size=4 --max-semi-space-size=4 /usr/lib/gatehouse/dist/gatehouse.mjs "$@"\n' \
      > /usr/local/bin/gatehouse \
 && chmod 0755 /usr/local/bin/gatehouse
ENV GATEHOUSE_STATE_DIRECTORY=/var/lib/gatehouse \
    GATEHOUSE_RUNTIME_DIRECTORY=/run/gatehouse
USER 10001:10001
# Node waits only for its own children; tini reaps the rest.
ENTRYPOINT ["tini", "--", "gatehouse"]
CMD ["run"]
