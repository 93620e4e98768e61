package plan

var SortInstances = sortInstances
