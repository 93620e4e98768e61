package local_test

// ownerMode makes the test binary a server that can be killed.
const ownerMode = "own-a-platform"

func owner() {}
