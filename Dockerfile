# syntax=docker/dockerfile:1

# The toolchain's version is `rust-version` of Cargo.toml. Both stages use the same Debian release because of its C library.
FROM rust:1.95.0-trixie AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package faceofmind --bin faceofmind \
    && install -D target/release/faceofmind /out/faceofmind \
    && install -d -o 10001 -g 10001 -m 0700 /out/data

FROM debian:13.6-slim
LABEL org.opencontainers.image.title="FaceofMind User API" \
      org.opencontainers.image.licenses="Apache-2.0"

# The root certificates that verify PostgreSQL, Redis, NATS and SMTP servers.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/faceofmind /usr/local/bin/faceofmind
COPY --from=build --chown=10001:10001 /out/data /data

# The service writes only below DATA_DIR, so the root file system can be mounted read-only.
USER 10001:10001
ENV HOST=0.0.0.0 PORT=9000 DATA_DIR=/data FACEOFMIND_ENV=production
VOLUME /data
EXPOSE 9000
STOPSIGNAL SIGTERM
ENTRYPOINT ["faceofmind"]
CMD ["serve"]
