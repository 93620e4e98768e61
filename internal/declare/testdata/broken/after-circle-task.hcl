stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
service "web" {
  image = image.web
  after = [task.migrate]
}
service "db" {
  image = image.web
  after = [service.web]
}
task "migrate" {
  image = image.web
  after = [service.db]
}
