stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
image "tool" {
  from = debian("bookworm")
}
task "migrate" {
  image = image.tool
}
service "web" {
  image = image.web
}
