@file:Suppress("UNUSED_PARAMETER", "unused")

package android.content

import android.content.res.AssetManager

class ContentResolver

class Context(val assets: AssetManager) {
    val contentResolver = ContentResolver()
}
