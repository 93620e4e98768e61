package conductor

import (
	"reflect"
	"time"
)

// alike compares two values as they are stored: empty is the same as absent, and a moment is the same wherever it is told.
// It stands here because to encode ten thousand instances twice, to find that one has changed, took most of a turn.
func alike[T any](a, b T) bool {
	return alikeValues(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
}

var moment = reflect.TypeFor[time.Time]()

func alikeValues(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		if a.Type() == moment {
			return a.Interface().(time.Time).Equal(b.Interface().(time.Time))
		}
		for i := range a.NumField() {
			if !alikeValues(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return a.Pointer() == b.Pointer() || alikeValues(a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !alikeValues(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		return alikeMaps(a, b)
	}
	return a.Equal(b)
}

func alikeMaps(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for it := a.MapRange(); it.Next(); {
		other := b.MapIndex(it.Key())
		if !other.IsValid() || !alikeValues(it.Value(), other) {
			return false
		}
	}
	return true
}
