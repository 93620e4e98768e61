stack "shop" {}
image "web" {
  from       = debian("bookworm")
  entrypoint = ["/web"]
}
task "migrate" {
  image = image.web
  timeuot = "1h"
  retries = 2
  shell   = "bash"
}
