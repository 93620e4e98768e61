stack "worker" {}
image "job" {
  from       = debian("bookworm")
  entrypoint = ["/usr/bin/sleep", "infinity"]
}
service "job" {
  image     = image.job
  instances = 0
}
