stack "shop" {}
image "web" {
  from = "scratch"
