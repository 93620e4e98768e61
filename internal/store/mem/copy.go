package mem

import (
	"reflect"
	"sync"
	"time"
)

// deep returns a copy that shares nothing changeable with v. It walks the type, so a field that the vocabulary gains
// is copied without a change here. Values in the vocabulary are trees; there are no cycles.
func deep[T any](v T) T {
	dst := reflect.New(reflect.TypeFor[T]()).Elem()
	copyInto(dst, reflect.ValueOf(&v).Elem())
	return dst.Interface().(T)
}

func copyInto(dst, src reflect.Value) {
	if flat(src.Type()) {
		dst.Set(src)
		return
	}
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyInto(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
		if flat(src.Type().Elem()) {
			reflect.Copy(dst, src)
			return
		}
		for i := range src.Len() {
			copyInto(dst.Index(i), src.Index(i))
		}
	case reflect.Map:
		if !src.IsNil() {
			copyMap(dst, src)
		}
	case reflect.Struct:
		for i := range src.NumField() {
			copyInto(dst.Field(i), src.Field(i))
		}
	default:
		panic("mem: cannot copy a " + src.Type().String())
	}
}

func copyMap(dst, src reflect.Value) {
	dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
	for it := src.MapRange(); it.Next(); {
		v := reflect.New(src.Type().Elem()).Elem()
		copyInto(v, it.Value())
		dst.SetMapIndex(it.Key(), v)
	}
}

var flatTypes sync.Map // reflect.Type → bool

// flat reports whether a plain assignment of t shares nothing that can be changed through it.
func flat(t reflect.Type) bool {
	if known, ok := flatTypes.Load(t); ok {
		return known.(bool)
	}
	is := false
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
	case reflect.Array:
		is = flat(t.Elem())
	case reflect.Struct:
		is = true
		for i := range t.NumField() {
			is = is && flat(t.Field(i).Type)
		}
		is = is || t == reflect.TypeFor[time.Time]() // its location is never written to
	default:
		is = true
	}
	flatTypes.Store(t, is)
	return is
}
