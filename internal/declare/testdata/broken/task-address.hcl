stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  env = { A = task.migrate.port.http.address, B = "x${service.migrate.port.http.host}" }
}
task "migrate" {
  image = image.web
}
