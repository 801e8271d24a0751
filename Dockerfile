# syntax=docker/dockerfile:1.7
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin portalwatch \
 && install -D target/dist/portalwatch /out/usr/bin/portalwatch \
 && install -d -o 65532 -g 65532 -m 0700 /out/var/lib/portalwatch

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/usr/bin/portalwatch /usr/bin/portalwatch
# Copied with its owner, so that a fresh volume is writable by the user below.
COPY --from=build --chown=65532:65532 /out/var/lib/portalwatch /var/lib/portalwatch
ENV STATE_DIRECTORY=/var/lib/portalwatch
# Where `run` and `healthcheck` look for monitor.yaml; relative paths in it start at STATE_DIRECTORY.
WORKDIR /etc/portalwatch
VOLUME /var/lib/portalwatch
USER 65532:65532
EXPOSE 9790
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["portalwatch", "healthcheck"]
ENTRYPOINT ["portalwatch"]
CMD ["run"]
