#!/bin/sh
# Prints the settings that docker-compose.yml asks for, with secrets drawn anew:   sh deploy/make-env.sh >.env
# Run it once; the databases keep the passwords they were made with. When a later version asks for the passwords of NATS' users:
#   sh deploy/make-env.sh | grep ^NATS_ >>.env
set -eu

# 48 hexadecimal digits after a letter: safe in URLs, and never taken for a number.
secret() { printf 's%s' "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"; }

echo "POSTGRES_PASSWORD=$(secret)"
echo "NATS_OPERATOR_PASSWORD=$(secret)"
for service in USERS TASKS ACCOUNTING ANALYTICS; do
  echo "${service}_OWNER_PASSWORD=$(secret)"
  echo "${service}_APP_PASSWORD=$(secret)"
  echo "${service}_GATEWAY_SECRET=$(secret)"
  echo "NATS_${service}_PASSWORD=$(secret)"
done
echo "NATS_GATEWAY_PASSWORD=$(secret)"
echo "ADMIN_EMAIL=${ADMIN_EMAIL:-admin@example.com}"
echo "ADMIN_PASSWORD=$(secret)"
