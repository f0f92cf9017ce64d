# The server. `docker build -t orchy .`; `docker run -p 127.0.0.1:8080:8080 -v orchy:/orchy/data orchy` with flags,
# or with one of the files in deploy/compose. `docker run … orchy keys create …` makes a key.
FROM node:22-bookworm-slim AS dependencies
WORKDIR /orchy
COPY package.json package-lock.json .npmrc ./
# Bun comes with the next image.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/bun

FROM oven/bun:1.4.5-slim
WORKDIR /orchy
COPY --from=dependencies /orchy/node_modules ./node_modules
COPY package.json LICENSE THIRD-PARTY.txt ./
COPY src ./src
RUN mkdir data && chown bun:bun data
USER bun
VOLUME /orchy/data
EXPOSE 8080 8099
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
  CMD ["bun", "-e", "process.exit((await fetch('http://127.0.0.1:8080/health/ready')).ok ? 0 : 1)"]
ENTRYPOINT ["bun", "src/main.ts"]
